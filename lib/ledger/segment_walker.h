// SegmentWalker and GroupWalker: go from frame to frame of a segment file by the headers alone, over damage,
// and up to the end of a file that still grows.
//
// A group is what is delivered together: one frame whose ordinals follow one another, or two (the sessions
// longer than a window stand apart) whose ordinals lie between each other's. Groups stand in the order of
// their ordinals.
//
// Threads: one for each object. Both are small, and a copy goes its own way from where it was made.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/frame_columns.h"
#include "ledger/segment_file.h"

namespace natsession {

struct FrameGroup {
  std::array<FramePlace, 2> frames;
  std::size_t count = 1;

  [[nodiscard]] Ordinal first() const { return frames[0].info.first; }
  [[nodiscard]] Ordinal last() const;
  [[nodiscard]] std::uint64_t records() const;
  // Whether no ordinal is missing between its first and its last.
  [[nodiscard]] bool whole() const { return records() == last() - first() + 1; }
  // Whether this program knows their version.
  [[nodiscard]] bool readable() const {
    return frames[0].info.readable && (count == 1 || frames[1].info.readable);
  }
  [[nodiscard]] UnixMs min_end() const;
  [[nodiscard]] UnixMs max_end() const;
};

enum class StepKind {
  kFrames,  // a whole frame, by its length; what is in it is not looked at
  kDamage,  // bytes that are no frame, before one that is
  kEnd,     // no frame behind: yet, or ever
};

template <typename Frames>
struct WalkStep {
  StepKind kind = StepKind::kEnd;
  Frames frames{};  // kFrames
  // Else: where bytes stand that are no whole frame, and how many; none at a clean end. With a group that
  // lacks ordinals: the damage behind it.
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::string why;
};

class SegmentWalker {
 public:
  using Step = WalkStep<FramePlace>;

  // `limit`: no ordinal of this segment is so high; the next one's first, where there is a next one.
  explicit SegmentWalker(std::shared_ptr<const SegmentFile> file, Ordinal limit = kMaxOrdinal + 1);

  // Reads no further than `end`: a sealed segment's footer begins there.
  void set_end(std::uint64_t end) { end_ = end; }
  void set_limit(Ordinal limit) { limit_ = limit; }
  // `offset` is where a frame begins.
  void move_to(std::uint64_t offset);

  // At kEnd it stays, and may be called again: the file may have grown.
  // Errors: kIo, kPermission; repeatable.
  [[nodiscard]] Result<Step> next();

  // Where the next frame is to begin.
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  // The file was cut before the place that was reached: what was walked over has been replaced.
  [[nodiscard]] bool overtaken() const { return overtaken_; }

 private:
  [[nodiscard]] Result<std::optional<std::uint64_t>> find_frame(std::uint64_t size);
  [[nodiscard]] Result<FrameInfo> check(std::span<const std::byte> header) const;

  std::shared_ptr<const SegmentFile> file_;
  Ordinal limit_;
  std::uint64_t end_ = UINT64_MAX;
  std::uint64_t offset_ = kSegmentHeaderBytes;
  std::uint64_t searched_ = 0;  // no frame begins between offset_ and here
  bool overtaken_ = false;
};

class GroupWalker {
 public:
  using Step = WalkStep<FrameGroup>;

  explicit GroupWalker(SegmentWalker frames) : frames_(std::move(frames)) {}

  [[nodiscard]] SegmentWalker& frames() { return frames_; }

  // `final`: nothing is added to the file any more. Else a frame at the very end that lacks ordinals waits
  // for the one that has them.
  // Errors: as SegmentWalker::next().
  [[nodiscard]] Result<Step> next(bool final);

 private:
  [[nodiscard]] Result<SegmentWalker::Step> take();

  SegmentWalker frames_;
  std::optional<SegmentWalker::Step> ahead_;
};

// A walker over `file` from its first frame: its end is known if it is sealed and its trailer is whole.
[[nodiscard]] SegmentWalker walk_segment(std::shared_ptr<const SegmentFile> file, Ordinal limit);

// What the frames of a segment come to: as its trailer says, else by walking.
// Errors: kUnavailable for a newer version; kIo, kPermission.
[[nodiscard]] Result<SegmentBounds> bounds_of(const std::shared_ptr<const SegmentFile>& file);

// GroupDecoder: the records of one group of frames, in the order of their ordinals, with what of it is
// damaged.
// Threads: one.
class GroupDecoder {
 public:
  // What cannot be read of a group.
  struct Damage {
    std::size_t frames = 0;
    std::string why;            // of the last
    UnixMs min_start, max_end;  // of all of them
  };

  // Replaces `out` by what can be read of `group`: ascending, without doubles, within the bounds of the
  // headers.
  // Errors: kIo, kPermission; `out` is empty then, and the call may be repeated.
  [[nodiscard]] Result<Damage> decode(const SegmentFile& file, const FrameGroup& group, RecordBlock& out);

  // Adds the records of one frame to `out`. Returns why it is damaged, `out` being unchanged then; empty if
  // it is not.
  // Errors: kIo, kPermission.
  [[nodiscard]] Result<std::string> add(const SegmentFile& file, const FramePlace& frame, RecordBlock& out);

 private:
  void merge(RecordBlock& block);

  FrameDecoder decoder_;
  std::vector<std::byte> bytes_;
  std::vector<std::size_t> order_;
};

}  // namespace natsession
