// What stands in a ledger when it is opened: where to go on, and which sessions are open.
// Threads: the writer's; no state is kept.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "ledger/frame.h"
#include "ledger/ledger_directory.h"
#include "ledger/segment_file.h"

namespace natsession {

// What a writer finds when it opens a ledger: where to go on.
// Threads: the writer's.

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

// A checkpoint: the sessions that had not ended at some place in the ledger, in the file `open` of its
// directory. With the records behind that place it tells what is open at the end, without reading the ledger
// from its beginning.
// Shape:  a segment (FORMAT.md) without footer, whose header's first ordinal is the place. Its records are as
//         OpenSessions::take() gives them; their ordinals count up from the place, and mean nothing.
// Threads: any; no state is kept.

// On the disk when it returns. `now`: for whoever looks at the file.
// Errors: kPermission, kIo; the one before then stays.
Result<void> write_checkpoint(const std::string& directory, Ordinal place, UnixMs now,
                              std::span<const SessionRecord> totals);

// Hands its records to `take`, a frame's worth at a time; returns the place. nullopt if there is none.
// Errors: kMalformed with the cause if it is damaged, kUnavailable if a newer program wrote it: what was handed
// on before is of no use then; kPermission, kIo.
[[nodiscard]] Result<std::optional<Ordinal>> read_checkpoint(
    const std::string& directory, const std::function<void(const RecordBlock&)>& take);

}  // namespace natsession
