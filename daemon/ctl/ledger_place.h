// Where the ledger is that a command reads.
// Threads: one.
#pragma once

#include <string>

#include "base/result.h"
#include "command.h"

namespace natsession::ctl {

// The directory of --ledger, else the one that the daemon's status tells.
// Errors: kUnavailable, kPermission if the daemon cannot be asked, or has no ledger.
[[nodiscard]] Result<std::string> ledger_directory(const Global& global);

}  // namespace natsession::ctl
