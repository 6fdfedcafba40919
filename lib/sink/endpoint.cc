#include "sink/endpoint.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include <netdb.h>

namespace natsession {
namespace {

bool is_host_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
         byte == '.' || byte == '-' || byte == '_';
}

bool is_ipv6_byte(char byte) {
  return is_host_byte(byte) || byte == ':' || byte == '%';
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && rest == end && port != 0;
}

}  // namespace

Result<Endpoint> Endpoint::parse(const SinkUrl& url, std::uint16_t default_port) {
  const std::string form = url.scheme + "://HOST:PORT";
  std::string_view place = url.target;
  if (!place.starts_with("//") || place.size() == 2) return url.wrong("a host is missing: " + form);
  place.remove_prefix(2);
  Endpoint endpoint{.host = {}, .port = default_port};
  std::string_view port;
  bool good = true;
  if (place.starts_with('[')) {
    const std::size_t bracket = place.find(']');
    if (bracket == std::string_view::npos) return url.wrong("a ] is missing behind the address: " + form);
    endpoint.host = place.substr(1, bracket - 1);
    port = place.substr(bracket + 1);
    good = std::all_of(endpoint.host.begin(), endpoint.host.end(), is_ipv6_byte);
  } else {
    const std::size_t colon = place.find(':');
    endpoint.host = place.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view() : place.substr(colon);
    good = std::all_of(endpoint.host.begin(), endpoint.host.end(), is_host_byte);
  }
  if (!good || endpoint.host.empty()) {
    return url.wrong("'" + endpoint.host + "' is not a host: " + form + ", an IPv6 address in brackets");
  }
  if (!port.empty() && (port[0] != ':' || !parse_port(port.substr(1), endpoint.port))) {
    return url.wrong("'" + std::string(port) + "' is not a port: " + form + ", a port from 1 to 65535");
  }
  return endpoint;
}

std::string Endpoint::to_string() const {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, int type) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = type;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  const int error_number = errno;
  if (error != 0) {
    const char* const why = error == EAI_SYSTEM ? std::strerror(error_number) : ::gai_strerror(error);
    return Error{ErrorKind::kUnavailable, "resolve " + endpoint.host + ": " + why};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, ::freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    SocketAddress& address = addresses.emplace_back();
    address.length = one->ai_addrlen;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
  }
  return addresses;
}

}  // namespace natsession
