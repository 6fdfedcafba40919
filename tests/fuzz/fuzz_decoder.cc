// The decoder takes any bytes: it never reads outside them, says the same thing twice, and touches its output
// only when it accepts.
#include "conntrack/decoder.h"
#include "fuzz/fuzz_main.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  ConntrackEvent untouched;
  untouched.id = 0xabad1dea;
  ConntrackEvent first = untouched;
  ConntrackEvent second;
  DecodeCounters counters;
  const DecodeResult result = decode(input, first, counters);
  require_that(decode(input, second, counters) == result, "the same bytes give the same result");
  if (result == DecodeResult::kEvent) {
    require_that(first == second, "the same bytes give the same event");
  } else {
    require_that(first == untouched, "the output is unchanged on error");
    require_that(second == ConntrackEvent{}, "the output is unchanged on error");
  }
  require_that(counters.new_events + counters.update_events + counters.destroy_events + counters.skipped +
                       counters.malformed ==
                   2,
               "every message is counted once");
}

}  // namespace natsession::testing
