// A command of natsessionctl: one file each, listed in natsessionctl.cc.
// Threads: one.
#pragma once

#include <string>
#include <string_view>

#include "base/exit_status.h"
#include "base/result.h"
#include "command_line.h"
#include "words.h"

namespace natsession::ctl {

// What each command's file defines and natsessionctl.cc lists.
using AddCommand = void(Commands& commands);

// Says on stderr what went wrong with `command`; returns the exit status that goes with it.
[[nodiscard]] int fail(std::string_view command, const Error& error);

// Writes to stdout at once; returns kFailed when nobody takes it.
[[nodiscard]] int print(std::string_view text);

// What stdout is. A terminal's width is what it says, else COLUMNS, else 80.
[[nodiscard]] Screen screen();

// The directory of --ledger, else the one that the daemon's status tells.
// Errors: kUnavailable, kPermission if the daemon cannot be asked, or has no ledger.
[[nodiscard]] Result<std::string> ledger_directory(const Global& global);

}  // namespace natsession::ctl
