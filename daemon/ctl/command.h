// A command of natsessionctl: one file each, listed in natsessionctl.cc.
// Threads: one.
#pragma once

#include <CLI/CLI.hpp>

namespace natsession::ctl {

// What every command may be given before its name.
struct Global {
  bool json = false;
};

// Adds the command to `app`. When it was called, `status` is what the program exits with.
void add_check(CLI::App& app, const Global& global, int& status);

}  // namespace natsession::ctl
