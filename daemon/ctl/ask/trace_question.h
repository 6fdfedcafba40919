// A trace's question as people write it: as options, as words one after the other, or as cells of a list.
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
  std::string nat;  // "203.0.113.7:40123", "203.0.113.7", "[2001:db8::7]:40123", "2001:db8::7 port 40123"
  std::string pub;  // likewise; the port alone as ":443"
  std::string protocol;  // a name or a number
  std::string at;
  std::string since, until;
  std::string slack;
  std::string netns = {};
};

// What messages call the parts of a question.
struct TraceLabels {
  std::string nat = "--nat";
  std::string pub = "--pub";
  std::string protocol = "--proto";
  std::string at = "--at";
  // Of a port that stands apart.
  std::string nat_port = nat;
  std::string pub_port = pub;
};

// Takes "203.0.113.7:40123 yesterday 14:57", "203.0.113.7 port 40123 tcp at 2026-11-21 14:57", "2001:db8::7
// 48888 21/Nov/2026:14:57:03 +0100" apart: where it goes on, and a time if there is one.
// Errors: kUsage for a part that options have said as well.
[[nodiscard]] Result<void> take_words(const std::vector<std::string>& given, TraceWords& words);

struct AskedQuestion {
  TraceQuestion question;
  std::string warning;  // that the clocks showed its time twice, or never, and which one this is; else empty
};

// A time of day without seconds means that whole minute. A time that the clocks showed twice is two
// questions. --until that is still to come means now, with a warning.
// Errors: kUsage, naming the part, its value and what would do; also for a time that is still to come.
[[nodiscard]] Result<std::vector<AskedQuestion>> read_question(const TraceWords& words, UnixMs now,
                                                               const TraceLabels& labels = {});

// "203.0.113.7:40123 tcp"
[[nodiscard]] std::string question_text(const TraceQuestion& question);
// "2026-11-21 14:57:03.000 CET" or "… to …", with the zone
[[nodiscard]] std::string question_time_text(const TraceQuestion& question);

}  // namespace natsession::ctl
