// LedgerView: which segments a ledger has, and what times they hold. Opening it looks at the names and, when
// it is first asked for times, at the trailers of sealed segments; they are kept for the next question, as
// sealed segments never change. It takes no lock and writes nothing.
// Threads: any, one call at a time; scans copy what they need of it when they begin.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "ledger/ledger_directory.h"
#include "ledger/segment_file.h"
#include "ledger/segment_format.h"

namespace natsession {

// A segment as it was when the view was made. A sealed one without bounds is damaged or of a newer version.
struct SegmentEntry {
  SegmentName name;
  Ordinal limit = kMaxOrdinal + 1;      // its ordinals are below
  std::optional<SegmentBounds> bounds;  // sealed segments with a good trailer; an open one may still grow
};

// What the whole ledger holds, for messages such as "the ledger begins at …".
struct LedgerSpan {
  std::uint64_t records = 0;
  UnixMs oldest_end, newest_end;  // end_time of records; nothing to say if there are no records
  UnixMs oldest_start;
};

class LedgerView {
 public:
  // Errors: kUnavailable if there is no ledger at `directory`; kPermission, kIo.
  [[nodiscard]] static Result<LedgerView> open(const std::string& directory);

  // Looks again: segments that were added, sealed and deleted since.
  // Errors: as open().
  Result<void> refresh();

  [[nodiscard]] const std::vector<SegmentEntry>& segments() const { return entries_; }
  // Walks over the open segments' frame headers; milliseconds.
  // Errors: kIo, kPermission.
  [[nodiscard]] Result<LedgerSpan> span() const;
  [[nodiscard]] const std::string& path() const { return directory_->path(); }
  // For scans, which may outlive the view.
  [[nodiscard]] const std::shared_ptr<LedgerDirectory>& directory() const { return directory_; }

 private:
  explicit LedgerView(LedgerDirectory opened)
      : directory_(std::make_shared<LedgerDirectory>(std::move(opened))) {}

  std::shared_ptr<LedgerDirectory> directory_;
  std::vector<SegmentEntry> entries_;
  std::unordered_map<Ordinal, SegmentBounds>
      sealed_;  // trailers that were read, by the segment's first ordinal
};

// Opens a segment, also if it has been sealed since it was listed.
// Errors: kUnavailable if it has been deleted; kMalformed if it is no regular file; kIo, kPermission.
[[nodiscard]] Result<std::shared_ptr<const SegmentFile>> open_segment(const LedgerDirectory& directory,
                                                                      const SegmentName& name);

}  // namespace natsession
