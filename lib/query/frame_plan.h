// FramePlan: the frames that a query has to read, in the order of the ledger, found segment by segment as
// they are asked for, so that a month's worth costs no memory.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ledger/segment_walker.h"
#include "query/log_store.h"
#include "query/query.h"
#include "query/scan_batch.h"

namespace natsession {

struct FrameTask {
  std::shared_ptr<const SegmentFile> file;
  FramePlace place;
  Ordinal from = 0;    // records with lower ordinals have been in frames before
  bool ready = false;  // of a segment in Query::ready
  // Instead of a file: records that no frame has yet, and their ordinals, ascending.
  std::vector<SessionRecord> records;
  std::vector<Ordinal> ordinals;
};

class FramePlan {
 public:
  // `newest_first`: segments and the frames in them from the end to the beginning (segments of more than
  // kMaxPlanned frames in parts of so many).
  static constexpr std::size_t kMaxPlanned = std::size_t{1} << 18;
  FramePlan(const LogStore& ledger, const Query& query, bool newest_first);

  // Nothing at the end. What cannot be read is told to report().
  [[nodiscard]] std::optional<FrameTask> next();

  // Of all segments that the query's times may meet, as far as is known.
  [[nodiscard]] std::uint64_t frames_expected() const { return expected_; }
  [[nodiscard]] ScanReport& report() { return report_; }
  [[nodiscard]] const ScanReport& report() const { return report_; }
  // kPermission: what ended the plan before its time.
  [[nodiscard]] const Result<void>& error() const { return error_; }
  // Adds a trouble if the records that it may have cost could be ones that the query asks for.
  void tell(Trouble trouble);
  // What ended it outside of a ledger.
  void fail(Error error) { error_ = std::move(error); }

 private:
  // A segment without an index is walked over, some frames at a time.
  struct Walk {
    std::shared_ptr<const SegmentFile> file;
    SegmentWalker walker;
    Ordinal limit = 0;
    bool grows = false;                  // it is the newest segment, and open
    std::uint64_t doubted = UINT64_MAX;  // the place of damage that was seen once
  };

  [[nodiscard]] bool in_a_moment(UnixMs lowest, UnixMs highest) const;
  [[nodiscard]] bool is_ready(const FrameInfo& frame) const;
  bool enter();
  bool plan_by_index(const SegmentEntry& entry, const std::shared_ptr<const SegmentFile>& file);
  void walk_on();
  void walked_over_damage(const SegmentWalker::Step& step);
  void tell_missing(const SegmentFile& file, Ordinal next, std::optional<UnixMs> until);
  void leave(const SegmentFile& file, Ordinal limit);
  void add(const std::shared_ptr<const SegmentFile>& file, FramePlace place);

  std::shared_ptr<LedgerDirectory> directory_;
  std::vector<SegmentEntry> entries_;
  std::chrono::milliseconds window_{};  // the longest of the records in the ledger
  TimeRange start_;
  TimeRange end_;
  std::vector<TimeRange> moments_;
  std::shared_ptr<const ReadyPart> ready_;
  const ReadyPart::Segment* ready_segment_ = nullptr;  // the one that was entered last, if it is in ready_
  bool newest_first_;
  std::size_t next_entry_ = 0;

  std::vector<FrameTask> tasks_;  // of the segment that was entered last, or some of them
  std::size_t next_task_ = 0;
  Ordinal seen_ = 0;  // ordinals of this segment below it were in frames
  std::optional<FrameInfo> before_;
  std::optional<Walk> walk_;
  std::optional<std::string> damage_;  // what was found that is no frame, since the last one

  std::uint64_t expected_ = 0;
  ScanReport report_;
  Result<void> error_;
};

}  // namespace natsession
