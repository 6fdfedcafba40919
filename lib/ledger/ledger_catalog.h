// LedgerCatalog: the segments of a ledger with their sizes and bounds, kept up to date at little cost.
// Threads: one.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/segment_walker.h"

namespace natsession {

struct CatalogEntry {
  SegmentName name;
  std::uint64_t bytes = 0;
  UnixMs changed;                   // the file's stamp
  SegmentBounds bounds;             // of what can be read
  bool last = false;                // it is, or will be, written to
  Ordinal limit = kMaxOrdinal + 1;  // the first ordinal of the next
  std::string why;                  // it cannot be read at all
};

class LedgerCatalog {
 public:
  explicit LedgerCatalog(LedgerDirectory directory) : directory_(std::move(directory)) {}

  [[nodiscard]] LedgerDirectory& directory() { return directory_; }

  // Looks at the disk: at new and changed files, and at the end of the last.
  // Errors: kUnavailable if the directory was removed; kIo. The entries are unchanged then.
  [[nodiscard]] Result<void> refresh();
  // By first ordinal.
  [[nodiscard]] const std::vector<CatalogEntry>& entries() const { return entries_; }

 private:
  [[nodiscard]] std::optional<CatalogEntry> look_at(const SegmentName& name);

  LedgerDirectory directory_;
  std::vector<CatalogEntry> entries_;
  // The last segment, as far as it was walked.
  std::shared_ptr<const SegmentFile> tail_;
  std::optional<SegmentWalker> tail_walker_;
  SegmentBounds tail_bounds_;
};

}  // namespace natsession
