// SegmentList: the segments that a ledger has, their sizes and the times that they hold, kept up to date at
// little cost: retention, sealing, questions, verification and a logger that starts again all begin with it.
// It takes no lock and writes nothing. What is deleted or sealed after refresh() does not hurt:
// open_segment() finds the sealed form, and a file that was opened stays readable.
// Threads: one call at a time; entries() may be copied, and open_segment() and read_frames() called from any.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/coverage.h"
#include "ledger/segment_walker.h"

namespace natsession {

// The length of the windows where a segment does not name it: it was begun by a version that had no other
// default.
inline constexpr std::chrono::milliseconds kUnnamedWindow = std::chrono::minutes(10);

struct SegmentEntry {
  SegmentName name;
  Ordinal limit = kMaxOrdinal + 1;  // its ordinals are below: the first of the next segment
  std::uint64_t bytes = 0;
  UnixMs changed;                // the file's stamp
  UnixMs created;                // when it was begun; records of segments before it had ended by then
  SegmentBounds bounds;          // of what can be read; no frames: then its times mean nothing
  bool settled = false;          // sealed, with a good header and trailer: `bounds` will not change
  std::uint32_t seal = 0;        // then: the trailer's checksum, which names this form of the segment
  std::uint64_t sums_bytes = 0;  // of the file beside it that has its sums; 0 if there is none
  bool last = false;             // it is, or will be, written to
  std::chrono::milliseconds window = kUnnamedWindow;  // of the records in it
  std::string why;                                    // it cannot be read at all
};

// What the whole ledger holds, for messages such as "the ledger begins at …".
struct LedgerSpan {
  std::uint64_t records = 0;
  UnixMs oldest_end, newest_end;  // end_time of records; nothing to say if there are no records
  UnixMs oldest_start;
};

class SegmentList {
 public:
  explicit SegmentList(LedgerDirectory directory)
      : directory_(std::make_shared<LedgerDirectory>(std::move(directory))) {}
  // With a first refresh().
  // Errors: kUnavailable if there is no ledger at `directory`; kPermission, kIo.
  [[nodiscard]] static Result<SegmentList> open(const std::string& directory);

  // The sums of a segment were made or removed.
  void set_sums_bytes(Ordinal first, std::uint64_t bytes);

  // Looks at the disk: at new and changed files, and at the end of those that are not sealed.
  // Errors: kUnavailable if the directory was removed; kIo, kPermission. The entries are unchanged then.
  [[nodiscard]] Result<void> refresh();

  // By first ordinal.
  [[nodiscard]] const std::vector<SegmentEntry>& entries() const { return entries_; }
  [[nodiscard]] LedgerSpan span() const;
  // The longest window of the records that were written for `time` or later.
  [[nodiscard]] std::chrono::milliseconds window_since(UnixMs time) const;
  // No record that ended later has been deleted with its segment.
  [[nodiscard]] UnixMs whole_since() const;
  // What was proved when the list was opened, as far as records are still there. Nothing where a newer
  // program wrote that down: verify_ledger() says so.
  [[nodiscard]] std::vector<Coverage> coverage() const;

  [[nodiscard]] LedgerDirectory& directory() { return *directory_; }
  [[nodiscard]] const std::shared_ptr<LedgerDirectory>& shared_directory() const { return directory_; }
  [[nodiscard]] const std::string& path() const { return directory_->path(); }

 private:
  [[nodiscard]] std::optional<SegmentEntry> look_at(const SegmentName& name);

  std::shared_ptr<LedgerDirectory> directory_;
  std::vector<CoverageSpan> coverage_;
  std::vector<SegmentEntry> entries_;
  // The last segment, as far as it was walked.
  std::shared_ptr<const SegmentFile> tail_;
  std::optional<SegmentWalker> tail_walker_;
  SegmentBounds tail_bounds_;
};

// Opens a segment, also if it has been sealed since it was listed.
// Errors: kUnavailable if it has been deleted; kMalformed if it is no regular file; kIo, kPermission.
[[nodiscard]] Result<std::shared_ptr<const SegmentFile>> open_segment(const LedgerDirectory& directory,
                                                                      const SegmentName& name);

// The frames of a segment, in the order of the file: from the index where it is sealed, else from their
// headers.
struct SegmentFrames {
  std::vector<FramePlace> frames;
  std::uint64_t damaged_bytes = 0;  // that are no frame; a frame's own checksums tell of what is in it
};
// Errors: kMalformed if it has more than kMaxIndexEntries frames; kPermission, kIo.
[[nodiscard]] Result<SegmentFrames> read_frames(const std::shared_ptr<const SegmentFile>& file);

}  // namespace natsession
