// The answer to one trace, for people and as JSON.
// Threads: one; times are in the zone of the process.
#pragma once

#include <string>
#include <vector>

#include "ask/trace_list.h"
#include "query/trace.h"

namespace natsession::ctl {

// An answer in a few lines, for people who are no engineers; text, JSON and CSV have the same ones.
struct TraceSummary {
  std::string who;               // "10.0.0.5, port 51234; vpc blue, instance gw-1"; empty: nobody was found
  std::string when;              // from when to when that session lasted; empty likewise
  std::string sure;              // how sure that is, or what it means that nobody was found
  std::vector<std::string> why;  // what speaks for it
  std::vector<std::string> against;  // what speaks against it, or may make the answer wrong
};
[[nodiscard]] TraceSummary summary_of(const TraceQuestion& question, const TraceAnswer& answer,
                                      const LedgerSpan& ledger);
// "a; b"
[[nodiscard]] std::string joined(const std::vector<std::string>& texts);
// The summary, then each session. Lines are at most 80 characters wide, but for long names.
[[nodiscard]] std::string trace_text(const AskedQuestion& asked, const TraceAnswer& answer,
                                     const LedgerSpan& ledger, bool colours, const TraceNames& names = {},
                                     std::size_t which = 0);
// `which` answer it is, for `names`. One object; without a newline behind it. `ledger` is what the ledger
// holds.
[[nodiscard]] std::string trace_json(const AskedQuestion& asked, const TraceAnswer& answer,
                                     const LedgerSpan& ledger, const TraceNames& names = {},
                                     std::size_t which = 0);
// An array with an object for each answer, and one for a question that cannot be read; with the number of its
// line and the columns that came. `result` has one answer for each of questions_of().
[[nodiscard]] std::string trace_list_json(const TraceList& list, const TraceResult& result,
                                          const TraceNames& names = {});

}  // namespace natsession::ctl
