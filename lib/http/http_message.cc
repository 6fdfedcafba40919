#include "http/http_message.h"

#include <strings.h>

namespace natsession {

std::string_view HttpServerRequest::field(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (key.size() == name.size() && ::strncasecmp(key.data(), name.data(), name.size()) == 0) return value;
  }
  return {};
}

}  // namespace natsession
