// The answer to one trace, for people and as JSON.
// Threads: one; times are in the zone of the process.
#pragma once

#include <string>

#include "query/trace.h"

namespace natsession::ctl {

// What the verdict means, in a sentence.
[[nodiscard]] std::string verdict_text(const TraceAnswer& answer);
[[nodiscard]] std::string trace_text(const TraceQuestion& question, const TraceAnswer& answer, bool colours);
// One object; without a newline behind it. `ledger` is what the ledger holds.
[[nodiscard]] std::string trace_json(const TraceQuestion& question, const TraceAnswer& answer,
                                     const LedgerSpan& ledger);
// "it moved traffic in this window; the peer's address matches"
[[nodiscard]] std::string reasons_text(const TraceCandidate& candidate);

}  // namespace natsession::ctl
