#include "net/host_port.h"

#include <algorithm>
#include <charconv>

namespace natsession {
namespace {

bool is_host_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
         byte == '.' || byte == '-' || byte == '_';
}

bool is_ipv6_byte(char byte) {
  return is_host_byte(byte) || byte == ':' || byte == '%';
}

}  // namespace

Result<HostPort> HostPort::parse(std::string_view text, std::optional<std::uint16_t> usual_port) {
  HostPort result;
  std::string_view rest;
  bool good = true;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return usage_error("a ] is missing behind the address");
    result.host = text.substr(1, bracket - 1);
    rest = text.substr(bracket + 1);
    good = !result.host.empty() && std::all_of(result.host.begin(), result.host.end(), is_ipv6_byte);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    result.host = text.substr(0, colon);
    rest = text.substr(colon);
    good = std::all_of(result.host.begin(), result.host.end(), is_host_byte);
  }
  if (!good) return usage_error("'" + result.host + "' is not a host");
  if (rest.empty()) {
    if (!usual_port) return usage_error("a port is missing");
    result.port = *usual_port;
    return result;
  }
  const std::string_view digits = rest.substr(1);
  const char* const end = digits.data() + digits.size();
  const auto [behind, error] = std::from_chars(digits.data(), end, result.port);
  if (rest[0] != ':' || error != std::errc() || behind != end || result.port == 0) {
    const bool naked = !text.starts_with('[') && digits.find(':') != std::string_view::npos;
    return usage_error("'" + std::string(rest) + "' is not a port from 1 to 65535" +
                       (naked ? "; an IPv6 address stands in brackets" : ""));
  }
  return result;
}

std::string HostPort::to_string() const {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace natsession
