// The names that choices have on the command line and in the configuration file, and back.
// (Those of record formats, time formats and field sets are record/encoder.h's.)
// Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/config.h"

namespace natsession {

// Errors: kUsage, naming the text and the names that would do.
[[nodiscard]] Result<NatSelection> parse_nat_selection(std::string_view name);  // snat dnat any
[[nodiscard]] Result<RecordMode> parse_record_mode(std::string_view name);      // window end start-end
[[nodiscard]] Result<ReliableMode> parse_reliable_mode(std::string_view name);  // auto on off
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view name);          // error warning info debug
[[nodiscard]] Result<bool> parse_switch(std::string_view name);                 // true false
// Adds the groups in "new,destroy" to `groups`.
[[nodiscard]] Result<EventGroups> parse_event_groups(std::string_view names, EventGroups groups);

[[nodiscard]] std::string_view to_string(NatSelection selection);
[[nodiscard]] std::string_view to_string(RecordMode mode);
[[nodiscard]] std::string_view to_string(ReliableMode mode);
[[nodiscard]] std::string_view to_string(LogLevel level);

}  // namespace natsession
