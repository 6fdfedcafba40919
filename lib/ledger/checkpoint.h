// A checkpoint: the sessions that had not ended at some place in the ledger, in the file `open` of its
// directory. With the records behind that place it tells what is open at the end, without reading the ledger
// from its beginning.
// Shape:  a segment (FORMAT.md) without footer, whose header's first ordinal is the place. Its records are as
//         OpenSessions::take() gives them; their ordinals count up from the place, and mean nothing.
// Threads: any; no state is kept.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "ledger/record_block.h"

namespace natsession {

// On the disk when it returns. `now`: for whoever looks at the file.
// Errors: kPermission, kIo; the one before then stays.
Result<void> write_checkpoint(const std::string& directory, Ordinal place, UnixMs now,
                              std::span<const SessionRecord> totals);

// Hands its records to `take`, a frame's worth at a time; returns the place. nullopt if there is none.
// Errors: kMalformed with the cause if it is damaged, kUnavailable if a newer program wrote it: what was handed on
// before is of no use then; kPermission, kIo.
[[nodiscard]] Result<std::optional<Ordinal>> read_checkpoint(
    const std::string& directory, const std::function<void(const RecordBlock&)>& take);

}  // namespace natsession
