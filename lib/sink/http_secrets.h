// HttpSecrets: what an http sink tells the server about itself, read from files and the environment, so that
// none of it stands on a command line. Never shown in a message.
// Threads: a plain value type.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sink/http_settings.h"

namespace natsession {

struct HttpSecrets {
  std::vector<std::string> headers;  // Name: value
  std::string user;
  std::string password;
  std::string token;
  bool has_user = false;

  [[nodiscard]] bool identify() const;  // something of it says who we are

  // Errors: kUsage, kPermission or kIo, naming the file and line, or the variable, and what is wrong.
  [[nodiscard]] static Result<HttpSecrets> read(const HttpSettings& settings);
};

}  // namespace natsession
