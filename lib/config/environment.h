// Environment: what the configuration needs to know of the outside. Tests write their own.
// Threads: a plain value type.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace natsession {

// Says what is wrong with one value; the message names the value and what would do. An empty function passes
// all.
using ValueCheck = std::function<Result<void>(std::string_view)>;

struct Environment {
  std::string hostname;   // the default of `instance`
  ValueCheck check_sink;  // whether a URL names a sink that there is, with options that it has
};

}  // namespace natsession
