// SegmentIterator: finds, for a reader, what stands at its place in the ledger: a group of frames, a hole, or
// the end. It goes from segment to segment while they are written, sealed and deleted.
//
// Which records are missing is told by ordinals alone: what lies between the place and the next frame that
// can be read. What was found on the way (damaged bytes, a file that is no segment) only says why.
//
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "ledger/frame.h"
#include "ledger/ledger_directory.h"
#include "ledger/segment_walker.h"

namespace natsession {

// Records that are not there any more, or cannot be read. What a reader hears instead of them.
struct Skipped {
  Ordinal first = 0;
  Ordinal last = 0;                           // inclusive
  RecordReason reason = RecordReason::kNone;  // kLedgerFull: deleted by the byte limit or by age before this
                                              // reader came; kDamaged
  // The uncertain time, as far as the frames around and seek() tell. Where nothing tells when it begins,
  // `from` is when the segment was made that the records should be in, or, if that is gone too, the epoch.
  UnixMs from, until;
  std::string why;  // for people: which file, where, what
  [[nodiscard]] std::uint64_t records() const { return last - first + 1; }
  // The gap record that says so. It points to `origin`.
  [[nodiscard]] SessionRecord gap(const Origin& origin) const;
};

class SegmentIterator {
 public:
  enum class Ahead {
    kGroup,    // group() has something at the place
    kMissing,  // missing()
    kEnd,
  };

  explicit SegmentIterator(LedgerDirectory directory) : directory_(std::move(directory)) {}

  [[nodiscard]] LedgerDirectory& directory() { return directory_; }
  [[nodiscard]] Ordinal place() const { return place_; }
  void seek(Ordinal place, UnixMs ended);

  // To be called when a reader is asked for more: what was seen before may have been replaced since.
  void begin_read() { fresh_ = false; }

  // Does not go beyond the place; looking twice finds the same.
  // Errors: kIo, kPermission; repeatable.
  [[nodiscard]] Result<Ahead> look();

  // After kGroup.
  [[nodiscard]] const FrameGroup& group() const { return *group_; }
  [[nodiscard]] const SegmentFile& file() const { return *segment_->file; }
  // Before anything is said to be missing. Where a writer fell in the middle of a group, the next one cuts it
  // off and writes on from there: a place between frames may be within a frame by now. True if the file may
  // be such a one, and has not been walked from its start since begin_read(): then it is now, and look()
  // looks anew.
  bool doubt();

  // Whether what the group lacks will never come. In a file that is being written what stands last may yet
  // become whole: then this is the end, or, where a segment has been made behind it just now, look() looks at
  // it anew.
  enum class Settled { kYes, kLookAgain, kNotYet };
  [[nodiscard]] Result<Settled> is_settled();

  // After kMissing.
  [[nodiscard]] const Skipped& missing() const { return *missing_; }
  // Takes it, and is behind it.
  [[nodiscard]] Skipped take_missing();

  // The records from the place to `last`, which cannot be read.
  [[nodiscard]] Skipped skip(Ordinal last, RecordReason reason, UnixMs from, UnixMs until,
                             const std::string& why);
  // The same, where the group has no frame that tells of them.
  [[nodiscard]] Skipped skip_in_group(Ordinal last);
  // The records before `place` have been read.
  void move_to(Ordinal place);
  // A read of the file failed: when it does so again and again, what cannot be read is damage.
  void count_read_error();

 private:
  struct Segment {
    SegmentName name;
    std::shared_ptr<const SegmentFile> file;  // null if it cannot be read at all
    std::optional<GroupWalker> groups;        // then too
    Ordinal limit = kMaxOrdinal + 1;
    bool final = false;  // there is a segment behind it: nothing is added any more
  };
  enum class Move { kOn, kEnd };

  Result<Move> enter();
  Result<Move> step();
  Result<Move> end_of_file(const GroupWalker::Step& step);
  Result<Move> leave();
  void walk_from_start();
  void skip_ahead();
  Result<bool> becomes_final();
  [[nodiscard]] Result<std::optional<SegmentName>> successor();
  [[nodiscard]] UnixMs created(const SegmentName& name) const;
  [[nodiscard]] UnixMs since() const;
  void note(const GroupWalker::Step& step);

  LedgerDirectory directory_;
  Ordinal place_ = 0;
  std::optional<Segment> segment_;
  std::optional<FrameGroup> group_;
  std::optional<Skipped> missing_;
  std::string why_;     // what was found damaged since the last record that was read
  UnixMs last_end_{};   // of the last group before the place, or as seek() was told; the epoch if nothing is
                        // known
  bool fresh_ = false;  // see doubt()
  int read_errors_ = 0;
  int vanished_ = 0;
};

}  // namespace natsession
