// The texts that natsessiond prints about itself: --help, --version and --print-config.
// Threads: any.
#pragma once

#include <string>

#include "config/command_line.h"

namespace natsession {

[[nodiscard]] std::string help_text();
// For a shell's completion, a line each: "--format json csv logfmt", "--window 10m", "--config FILE",
// "--tune". A comma stands before words of which one value may have several: "--events ,new update destroy".
[[nodiscard]] std::string list_options();
[[nodiscard]] std::string version_text();  // "natsessiond 0.1.0\n"

// A file in which every setting stands with what it does, in a comment at its default.
[[nodiscard]] std::string default_config();

// The effective configuration as a file that --config reads back to the same; each key says its default and
// where its value comes from.
[[nodiscard]] std::string print_config(const Invocation& invocation);

}  // namespace natsession
