// What natsessionctl does with a command line, whoever has it: the program itself, or natsession-console.
// Threads: one.
#pragma once

#include <span>

#include "command.h"

namespace natsession::ctl {

// Reads the command line, of these commands, and does what it says, on standard output and standard error.
// Returns the exit status.
[[nodiscard]] int run_program(int argc, char** argv, std::span<AddCommand* const> known);

}  // namespace natsession::ctl
