#include "sink/sink_url.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include <netdb.h>

#include "sink/registry.h"

namespace natsession {
namespace {

// Sinks of this machine: an @ in what stands behind them is one of a path or a command.
bool is_local(std::string_view scheme) {
  const SinkKind* const kind = find_sink_kind(scheme);
  return kind != nullptr && !kind->has_host();
}

// HOST or [ADDRESS], with a port or without.
bool is_plain_authority(std::string_view text) {
  const bool brackets = text.starts_with('[');
  const std::size_t host_end = brackets ? text.find(']') : std::min(text.find(':'), text.size());
  if (host_end == std::string_view::npos) return false;
  std::string_view port = text.substr(host_end + (brackets ? 1 : 0));
  if (port.starts_with(':')) port.remove_prefix(1);
  return std::all_of(port.begin(), port.end(), [](char byte) { return byte >= '0' && byte <= '9'; });
}

struct Part {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// What stands before the last @ (or %40) of a URL of another machine, if that may be a user and a password:
// people forget slashes, escape too much or nothing at all, and what they wrote must not be shown for it.
std::optional<Part> credentials_in(std::string_view url) {
  const std::size_t colon = url.find(':');
  if (is_local(url.substr(0, colon))) return std::nullopt;
  const std::size_t slashes = url.find("//");
  Part part;
  if (slashes != std::string_view::npos && (colon == std::string_view::npos || slashes < colon)) {
    part.begin = slashes;
  } else if (colon != std::string_view::npos) {
    part.begin = colon + 1;
  }
  while (url.substr(part.begin).starts_with('/')) ++part.begin;
  while (url.substr(part.begin).starts_with("%2F") || url.substr(part.begin).starts_with("%2f"))
    part.begin += 3;
  const auto last = [&](std::string_view sign) {
    const std::size_t at = url.rfind(sign);
    return at == std::string_view::npos || at < part.begin ? part.begin : at;
  };
  part.end = std::max(last("@"), last("%40"));
  if (!url.substr(part.end).starts_with('@') && !url.substr(part.end).starts_with("%40")) return std::nullopt;
  const std::string_view behind = url.substr(part.begin);
  const std::string_view authority = behind.substr(0, behind.find_first_of("/?"));
  const bool has_at =
      authority.find('@') != std::string_view::npos || authority.find("%40") != std::string_view::npos;
  if (!has_at && is_plain_authority(authority)) return std::nullopt;
  return part;
}

// The user may be seen, unless what stands there is a secret alone.
void hide(std::string& text, Part part) {
  const std::size_t colon = text.find(':', part.begin);
  if (colon < part.end) part.begin = colon + 1;
  text.replace(part.begin, part.end - part.begin, "***");
}

}  // namespace

Result<SinkUrl> SinkUrl::parse(std::string_view text) {
  SinkUrl url;
  url.text = text;
  if (text.find('\0') != std::string_view::npos) return url.wrong("has a NUL byte");
  if (credentials_in(text))
    return url.wrong("a user or password before the host " + std::string(kWhyNoSecrets));
  auto parts = UrlParts::parse(text);
  if (!parts) return url.wrong(parts.error().message);
  url.scheme = std::move(parts->scheme);
  url.target = std::move(parts->target);
  url.options = std::move(parts->options);
  return url;
}

Error SinkUrl::wrong(std::string_view why) const {
  return Error{ErrorKind::kUsage, "sink '" + without_secrets(text) + "': " + std::string(why)};
}

Error SinkUrl::wrong(const Option& option, std::string_view why) const {
  return wrong(option.key + ": " + std::string(why));
}

Result<void> SinkUrl::has_no_target() const {
  if (!target.empty()) return wrong("'" + target + "': " + scheme + " takes no path or address");
  return {};
}

bool is_secret_key(std::string_view key) {
  static constexpr std::array<std::string_view, 13> kWords{
      "header", "auth",   "token",      "bearer", "user",   "login",  "pass",
      "pwd",    "secret", "credential", "cookie", "apikey", "api_key"};
  if (key.ends_with("_file") || key.ends_with("_env")) return false;
  std::string lower(key);
  for (char& byte : lower) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
  }
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

std::string without_secrets(std::string_view url) {
  std::string whole(url);
  if (const auto part = credentials_in(url)) hide(whole, *part);
  const std::size_t question = whole.find('?');
  std::string text = whole.substr(0, question);
  const std::size_t slashes = text.find("//");
  const std::size_t at = text.rfind('@');
  if (slashes != std::string::npos && at != std::string::npos && at > slashes) hide(text, {slashes + 2, at});
  if (question == std::string::npos) return text;
  std::string_view query = std::string_view(whole).substr(question + 1);
  for (char before = '?';; before = '&') {
    const std::size_t ampersand = query.find('&');
    const std::string_view pair = query.substr(0, ampersand);
    const std::string_view key = pair.substr(0, pair.find('='));
    text += before;
    text += is_secret_key(key) && key.size() < pair.size() ? std::string(key) + "=***" : std::string(pair);
    if (ampersand == std::string_view::npos) return text;
    query.remove_prefix(ampersand + 1);
  }
}

std::string percent_encoded(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  static constexpr std::string_view kPlain = "-._~";
  std::string text;
  for (const char byte : bytes) {
    const auto code = static_cast<unsigned char>(byte);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || kPlain.find(byte) != std::string_view::npos;
    if (plain) {
      text += byte;
    } else {
      text += '%';
      text += kDigits[code >> 4];
      text += kDigits[code & 15];
    }
  }
  return text;
}

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
