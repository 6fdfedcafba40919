// A list of trace questions as an abuse desk gets them: CSV in, CSV out.
//
// In: a line for each question, in any form that csv_table.h reads. If the first line names columns, these
// are taken: nat_ip, nat_port (or nat, "IP:PORT"), time, protocol, pub_ip, pub_port, or a usual name of each:
// Source IP, Port, Timestamp, Destination IP …; date, time and timezone may be three. Others (a ticket's
// number) are handed on. Without such a line: nat_ip, nat_port, time and, if there are more, protocol,
// pub_ip, pub_port. Out: the question's columns as they came, with the delimiter that came, then verdict,
// rank, the session and why, how many more there are, and warnings; a line for each candidate, and one for a
// question without any. A question that cannot be read gets its line, too.
// Units:   at most kMaxListBytes of input.
// Threads: one; times are in the zone of the process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ask/identity_access.h"
#include "ask/trace_question.h"
#include "base/result.h"
#include "query/trace.h"

namespace natsession::ctl {

inline constexpr std::size_t kMaxListBytes = std::size_t{256} << 20;

struct ListedQuestion {
  std::vector<std::string> cells;  // of its line
  std::uint64_t line = 0;          // from 1
  std::string wrong;               // why it cannot be asked; else empty
  std::vector<AskedQuestion> asked;
};

struct TraceList {
  char delimiter = ',';
  std::vector<std::string> columns;
  std::vector<ListedQuestion> questions;
};

// `common`: slack and netns, which are every question's.
// Errors: kUsage for CSV that is none, a head without nat_ip or time, and too many questions; with the line.
[[nodiscard]] Result<TraceList> read_trace_list(std::string_view csv, const TraceWords& common, UnixMs now);

// Those that can be asked, in their order.
[[nodiscard]] std::vector<TraceQuestion> questions_of(const TraceList& list);
inline constexpr std::string_view kBadQuestion = "bad question";  // the verdict of the others

// Whose each candidate's session was, where there is a log of that: of each answer of each candidate.
struct TraceNames {
  std::vector<std::vector<IdentityAnswer>> of;
  std::string hidden;  // why they are not shown; `of` is empty then

  // Null where nothing is said.
  [[nodiscard]] const IdentityAnswer* at(std::size_t answer, std::size_t candidate) const {
    return answer < of.size() && candidate < of[answer].size() ? &of[answer][candidate] : nullptr;
  }
  [[nodiscard]] bool absent() const { return of.empty() && hidden.empty(); }
};
[[nodiscard]] TraceNames trace_names(const IdentityAccess& access,
                                     const std::vector<TraceQuestion>& questions, const TraceResult& result);

// `result` has one answer for each of questions_of(), and `names` is of it. Columns of the subscriber are
// there only where there is a log of them.
[[nodiscard]] std::string trace_list_csv(const TraceList& list, const TraceResult& result,
                                         const TraceNames& names = {});

}  // namespace natsession::ctl
