// Status and sessions as JSON, as the control socket gives them, and back, as natsessionctl takes them.
// Units: times in Unix seconds with milliseconds, as in records; ages and durations in seconds. What is
// unknown is null.
// Threads: any; pure functions. No exception comes out.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "control/status.h"
#include "flow/flow_log_change.h"

namespace natsession {

// One object, no newline behind it. Texts that are not UTF-8 get replacement characters.
[[nodiscard]] std::string status_json(const Status& status);
[[nodiscard]] std::string sessions_json(const SessionsAnswer& answer);
[[nodiscard]] std::string ports_json(const PortsAnswer& answer);
[[nodiscard]] std::string flow_logs_json(const FlowLogsAnswer& answer);
[[nodiscard]] std::string flow_log_changed_json(const FlowLogChanged& changed);
// {"error": message}
[[nodiscard]] std::string error_json(std::string_view message);

// Members that are absent keep their default, and unknown ones are passed over: the daemon may be another
// version.
// Errors: kMalformed if it is no JSON, or a member has another type.
[[nodiscard]] Result<Status> read_status_json(std::string_view text);
[[nodiscard]] Result<SessionsAnswer> read_sessions_json(std::string_view text);
[[nodiscard]] Result<PortsAnswer> read_ports_json(std::string_view text);
[[nodiscard]] Result<FlowLogsAnswer> read_flow_logs_json(std::string_view text);
[[nodiscard]] Result<FlowLogChanged> read_flow_log_changed_json(std::string_view text);
// The message of error_json(); empty if it is something else.
[[nodiscard]] std::string read_error_json(std::string_view text);

}  // namespace natsession
