// Answers to a trace as they might be, for the tests of what is made of them.
#pragma once

#include <cstdlib>
#include <ctime>

#include "query/trace.h"
#include "support/session_between.h"

namespace natsession::testing {

// Times are read and shown in UTC, whatever zone the tests run in.
struct InUtc {
  InUtc() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

inline UnixMs at_second(std::int64_t second) {
  return UnixMs(std::chrono::milliseconds(1'795'263'600'000 + second * 1000));  // 2026-11-21 12:20:00 UTC
}

inline const Origin kGateway{"gw-1", {}};

inline SessionRecord sample_record() {
  SessionRecord record =
      session_between(6, {"10.0.0.5", 51234}, {"2001:db8::9", 443}, {"203.0.113.7", 40123});
  record.origin = &kGateway;
  record.vpc_id = "blue";
  record.bytes_from_vpc = Count(1024);
  record.bytes_from_pub = Count(5 << 20);
  record.session_start = at_second(-30);
  record.start_time = at_second(0);
  record.end_time = at_second(60);
  record.session_id = 0xabc;
  return record;
}

inline TraceCandidate sample_candidate() {
  TraceCandidate candidate;
  candidate.record = sample_record();
  candidate.first_seen = at_second(-30);
  candidate.last_seen = at_second(60);
  candidate.ended = true;
  candidate.total = {Count(6 << 20), Count(80), Count(2048), Count(40), 2, true};
  candidate.match = TimeMatch::kTraffic;
  return candidate;
}

inline TraceQuestion sample_question() {
  TraceQuestion question;
  question.nat_ip = sample_record().nat_ip;
  question.nat_port = 40123;
  question.protocol = 6;
  question.from = question.until = at_second(30);
  return question;
}

inline KnownGap sample_gap() {
  return {at_second(10), at_second(20), RecordReason::kOverrun, Count(1200), "gw-1", {}};
}

}  // namespace natsession::testing
