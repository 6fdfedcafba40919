// The records whose lines are written out in tests and in FORMAT.md.
#pragma once

#include <string>

#include "record/encoder.h"
#include "record/session_record.h"
#include "support/session_between.h"

namespace natsession::testing {

[[nodiscard]] inline UnixMs at_ms(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}

// The last slice of an HTTPS connection that began in the window before.
[[nodiscard]] SessionRecord golden_tcp();
// A host's ping, in a zone, through a second destination NAT; accounting was off.
[[nodiscard]] SessionRecord golden_icmp();
// DNS over UDP and IPv6, still alive.
[[nodiscard]] SessionRecord golden_ipv6();
// 1532 events lost in 1.25 s.
[[nodiscard]] SessionRecord golden_gap();

[[nodiscard]] std::string encode(const SessionRecord& record, const EncoderOptions& options);

}  // namespace natsession::testing
