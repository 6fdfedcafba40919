// UrlParts: the parts of a URL as the command line and the configuration take them, of sinks and others.
//
//   url     = scheme [ ":" target ] [ "?" option *( "&" option ) ]
//   option  = key "=" value
//
// Target and values may have %XX for any byte but NUL; a "?" in a path is %3F, a "%" is %25, a "&" in a value
// is %26.
// Threads: a plain value type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace natsession {

struct UrlParts {
  struct Option {
    std::string key;
    std::string value;  // decoded
  };

  std::string scheme;
  std::string target;  // decoded; empty if there was none
  std::vector<Option> options;

  // Errors: kUsage, saying which part is wrong and why, without the URL. No key may stand twice.
  [[nodiscard]] static Result<UrlParts> parse(std::string_view text);
};

}  // namespace natsession
