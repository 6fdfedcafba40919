// The texts that natsessiond prints about itself: --help, --version and --print-config.
// Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "config/invocation.h"

namespace natsession {

// `sinks` is the part about sinks and their options, which the registry knows.
[[nodiscard]] std::string help_text(std::string_view sinks = {});
[[nodiscard]] std::string version_text();  // "natsessiond 0.1.0\n"

// The effective configuration as a file that --config reads back to the same; each key says its default and
// where its value comes from.
[[nodiscard]] std::string print_config(const Invocation& invocation);

}  // namespace natsession
