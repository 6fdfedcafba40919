// What a writer finds when it opens a ledger: where to go on.
// Threads: the writer's.
#pragma once

#include <optional>

#include "base/result.h"
#include "base/time.h"
#include "ledger/ledger_directory.h"
#include "ledger/segment_format.h"

namespace natsession {

struct LedgerTail {
  Ordinal next = 0;  // of the next record
  // The segment to go on with; none if there is none, or it must not be touched.
  std::optional<SegmentName> segment;
  std::uint64_t bytes = 0;  // where its frames end; what stands behind is torn
  SegmentHeader header;     // of that segment
  // From the torn end: records that are whole, of a group that is not. Nobody has read them under the
  // ordinals they had, which have holes; they are to be written anew.
  RecordBlock rescued;
  std::optional<UnixMs> last_record;  // when the newest record ended; nullopt in an empty ledger
};

// Looks at the end of a ledger that nobody writes.
//
// An ordinal that a reader may have been given is never given out again. A frame that is cut off at the end,
// or whose checksums do not hold at the end after a crash, has been read by nobody (see LedgerReader); and
// should a cursor stand beyond all there is, because the machine fell, then the ledger goes on from there.
//
// `crashed`: the last writer did not close the ledger: then its last frames are looked into, and what is not
// whole is cut.
// Errors: kUnavailable if a newer program wrote the last segment; kMalformed if there is no ordinal left;
// kPermission, kIo.
[[nodiscard]] Result<LedgerTail> find_tail(LedgerDirectory& directory, bool crashed);

}  // namespace natsession
