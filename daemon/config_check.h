// What --check says of a configuration: whether a start would have its ledger, its sinks and its sockets.
// Threads: the main one, while it is the only one.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "conntrack/kernel_check.h"
#include "privileges.h"

namespace natsession {

// Looks in the order of a start: what takes root first, then, as `user`, what is opened later. So privileges
// are given up when it returns, and nothing else is changed: nothing is made, and no sink is sent anything.
// Errors: those of keep_only().
[[nodiscard]] Result<std::vector<Finding>> check_configuration(const Config& config,
                                                               const std::optional<User>& user);

}  // namespace natsession
