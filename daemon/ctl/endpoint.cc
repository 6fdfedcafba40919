#include "endpoint.h"

namespace natsession::ctl {

Endpoint split_endpoint(std::string_view text) {
  const std::size_t first = text.find(':');
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close != std::string_view::npos) {
      const std::string_view behind = text.substr(close + 1);
      const std::string address(text.substr(1, close - 1));
      if (behind.empty()) return {address, {}};
      if (behind.starts_with(':')) return {address, std::string(behind.substr(1))};
    }
    return {std::string(text), {}};
  }
  const bool one_colon =
      first != std::string_view::npos && text.find(':', first + 1) == std::string_view::npos;
  if (!one_colon) return {std::string(text), {}};
  return {std::string(text.substr(0, first)), std::string(text.substr(first + 1))};
}

std::string endpoint_text(const IpAddress& address, std::uint16_t port) {
  const std::string text = address.to_string();
  return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port);
}

}  // namespace natsession::ctl
