// A trace's question as people write it: on the command line, and in a line of a CSV file.
// Threads: one; times are in the zone of the process.
#pragma once

#include <string>

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

// A time of day without seconds means that whole minute.
// Errors: kUsage, naming the part, its value and what would do.
[[nodiscard]] Result<TraceQuestion> read_question(const TraceWords& words, UnixMs now);

// "203.0.113.7:40123 tcp"
[[nodiscard]] std::string question_text(const TraceQuestion& question);
// "2026-11-21 14:57:03.000 CET" or "… to …", with the zone
[[nodiscard]] std::string question_time_text(const TraceQuestion& question);

}  // namespace natsession::ctl
