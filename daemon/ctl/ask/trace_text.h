// The answer to one trace, for people and as JSON.
// Threads: one; times are in the zone of the process.
#pragma once

#include <string>

#include "ask/trace_list.h"
#include "query/trace.h"

namespace natsession::ctl {

// What the verdict means, in a sentence.
[[nodiscard]] std::string verdict_text(const TraceAnswer& answer);
[[nodiscard]] std::string trace_text(const TraceQuestion& question, const TraceAnswer& answer, bool colours);
// One object; without a newline behind it. `ledger` is what the ledger holds.
[[nodiscard]] std::string trace_json(const AskedQuestion& asked, const TraceAnswer& answer,
                                     const LedgerSpan& ledger);
// An array with an object for each answer, and one for a question that cannot be read; with the number of its
// line and the columns that came. `result` has one answer for each of questions_of().
[[nodiscard]] std::string trace_list_json(const TraceList& list, const TraceResult& result);
// "it moved traffic in this window; the peer's address matches"
[[nodiscard]] std::string reasons_text(const TraceCandidate& candidate);

}  // namespace natsession::ctl
