// What a LedgerView has inside, for the scans that begin with it.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "ledger/segment_file.h"
#include "query/ledger_view.h"

namespace natsession {

struct LedgerView::State {
  explicit State(LedgerDirectory opened) : directory(std::make_shared<LedgerDirectory>(std::move(opened))) {}

  std::shared_ptr<LedgerDirectory> directory;
  std::vector<SegmentEntry> entries;
  std::unordered_map<Ordinal, SegmentBounds>
      sealed;  // trailers that were read, by the segment's first ordinal
};

// Opens a segment, also if it has been sealed since it was listed.
// Errors: kUnavailable if it has been deleted; kMalformed if it is no regular file; kIo, kPermission.
[[nodiscard]] Result<std::shared_ptr<const SegmentFile>> open_segment(const LedgerDirectory& directory,
                                                                      const SegmentName& name);

}  // namespace natsession
