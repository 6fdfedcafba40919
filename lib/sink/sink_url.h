// SinkUrl: a sink as the command line and the configuration name it.
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

struct SinkUrl {
  struct Option {
    std::string key;
    std::string value;  // decoded
  };

  std::string text;  // as it was given
  std::string scheme;
  std::string target;  // decoded; empty if there was none
  std::vector<Option> options;

  // Errors: kUsage, naming the URL and the part of it that is wrong. No key may stand twice.
  [[nodiscard]] static Result<SinkUrl> parse(std::string_view text);

  // A kUsage error about this URL, or about one of its options; `why` says what would do.
  [[nodiscard]] Error wrong(std::string_view why) const;
  [[nodiscard]] Error wrong(const Option& option, std::string_view why) const;
};

}  // namespace natsession
