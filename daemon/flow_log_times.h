// FlowLogTimes: when flow logs were off, kept in the ledger's folder (file `flow_logs`) from one run to the
// next: a log that is turned on again has its place in the ledger of then, and is not to tell of the time
// between.
// Threads: the main one.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "sink/flow/time_off.h"

namespace natsession {

// One that was on at the last start, and those that were ever off.
struct FlowLogTimes {
  std::string name;
  std::vector<TimeOff> off;  // the oldest first
  bool is_off = false;       // the last one of these has not ended
  friend bool operator==(const FlowLogTimes&, const FlowLogTimes&) = default;
};

// What is known after a start at `now`, with these that are on: one that is not is off from now on, also one
// that is not there any more. Times that ended before `oldest` are forgotten.
[[nodiscard]] std::vector<FlowLogTimes> times_after_start(std::vector<FlowLogTimes> known,
                                                          const std::vector<std::string>& on, UnixMs now,
                                                          UnixMs oldest);

// Lines of words with tabs between; and back, where what is damaged is passed over.
[[nodiscard]] std::string text_of_times(const std::vector<FlowLogTimes>& known);
[[nodiscard]] std::vector<FlowLogTimes> parse_times(std::string_view text);

// Notes the start in the ledger of the configuration, and returns what is known then.
// Errors: the file cannot be read or written.
[[nodiscard]] Result<std::vector<FlowLogTimes>> note_flow_logs(const Config& config, UnixMs now);

}  // namespace natsession
