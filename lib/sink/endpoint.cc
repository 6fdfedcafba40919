#include "sink/endpoint.h"

#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <netdb.h>

namespace natsession {

Result<HostPort> endpoint_of(const SinkUrl& url, std::uint16_t usual_port) {
  const std::string form = ": " + url.scheme + "://HOST:PORT";
  const std::string_view target = url.target;
  if (!target.starts_with("//") || target.size() == 2) return url.wrong("a host is missing" + form);
  auto endpoint = HostPort::parse(target.substr(2), usual_port);
  if (!endpoint) return url.wrong(endpoint.error().message + form + ", an IPv6 address in brackets");
  if (endpoint->host.empty()) return url.wrong("a host is missing" + form);
  return endpoint;
}

Result<std::vector<SocketAddress>> resolve(const HostPort& endpoint, int type) {
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
