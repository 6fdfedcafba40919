// What a record's line must say, worked out the slow way, from the specification and with other people's
// functions (gmtime_r, inet_ntop, printf).
#pragma once

#include <string>
#include <vector>

#include "record/encoder.h"
#include "record/readers.h"

namespace natsession::testing {

[[nodiscard]] std::string slow_time(UnixMs time, TimeFormat format);

// All fields in order, events_lost and log_status included also when the record is no gap; netns when asked
// for.
[[nodiscard]] std::vector<JsonMember> expected_fields(const SessionRecord& record, TimeFormat time_format,
                                                      bool with_netns);

}  // namespace natsession::testing
