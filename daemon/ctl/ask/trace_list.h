// A trace's question as people write it: on the command line, and in a line of a CSV file.
// Threads: one; times are in the zone of the process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "query/trace.h"

namespace natsession::ctl {

// Texts that are empty were not given.
struct TraceWords {
  std::string nat;       // "203.0.113.7:40123", "203.0.113.7", "[2001:db8::7]:40123"
  std::string pub;       // likewise; the port alone as ":443"
  std::string protocol;  // a name or a number
  std::string at;
  std::string since, until;
  std::string slack;
};

struct AskedQuestion {
  TraceQuestion question;
  std::string warning;  // that the clocks showed its time twice, or never, and which one this is; else empty
};

// A time of day without seconds means that whole minute. A time that the clocks showed twice is two
// questions.
// Errors: kUsage, naming the part, its value and what would do; also for a time that is still to come.
[[nodiscard]] Result<std::vector<AskedQuestion>> read_question(const TraceWords& words, UnixMs now);

// "203.0.113.7:40123 tcp"
[[nodiscard]] std::string question_text(const TraceQuestion& question);
// "2026-11-21 14:57:03.000 CET" or "… to …", with the zone
[[nodiscard]] std::string question_time_text(const TraceQuestion& question);

// A list of trace questions as an abuse desk gets them: CSV in, CSV out.
//
// In: a line for each question. If the first line names columns, these are taken: nat_ip, nat_port (or nat,
// "IP:PORT"), time, protocol, pub_ip, pub_port; others (a ticket's number) are handed on. Without such a
// line: nat_ip, nat_port, time and, if there are more, protocol, pub_ip, pub_port. Out: the question's
// columns as they came, then verdict, rank, the session and why, how many more there are, and warnings; a
// line for each candidate, and one for a question without any. A question that cannot be read gets its line,
// too.
// Units:  at most kMaxListBytes of input.
// Threads: one.

inline constexpr std::size_t kMaxListBytes = std::size_t{256} << 20;

struct ListedQuestion {
  std::vector<std::string> cells;  // of its line
  std::uint64_t line = 0;          // from 1
  std::string wrong;               // why it cannot be asked; else empty
  std::vector<AskedQuestion> asked;
};

struct TraceList {
  std::vector<std::string> columns;
  std::vector<ListedQuestion> questions;
};

// `slack` is every question's.
// Errors: kUsage for CSV that is none, a head without nat_ip or time, and too many questions; with the line.
[[nodiscard]] Result<TraceList> read_trace_list(std::string_view csv, const std::string& slack, UnixMs now);

// Those that can be asked, in their order.
[[nodiscard]] std::vector<TraceQuestion> questions_of(const TraceList& list);
inline constexpr std::string_view kBadQuestion = "bad question";  // the verdict of the others

// `result` has one answer for each of questions_of().
[[nodiscard]] std::string trace_list_csv(const TraceList& list, const TraceResult& result);

}  // namespace natsession::ctl
