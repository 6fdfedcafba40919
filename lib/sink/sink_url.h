// SinkUrl: a sink as the command line and the configuration name it; url_parts.h has the grammar.
// Threads: a plain value type.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/url_parts.h"
#include "net/host_port.h"

namespace natsession {

struct SinkUrl {
  using Option = UrlParts::Option;

  std::string text;  // as it was given
  std::string scheme;
  std::string target;  // decoded; empty if there was none
  std::vector<Option> options;

  // Errors: kUsage, naming the URL and the part of it that is wrong. No key may stand twice. A user or
  // password
  //         before the host is refused before anything else is, and not repeated.
  [[nodiscard]] static Result<SinkUrl> parse(std::string_view text);

  // What the sink is called: the URL without its options. So its place in a ledger stays when an option
  // changes; no two sinks have one destination.
  [[nodiscard]] std::string name() const { return text.substr(0, text.find('?')); }

  // A kUsage error about this URL, or about one of its options; `why` says what would do. What looks like a
  // secret in the URL is not shown.
  [[nodiscard]] Error wrong(std::string_view why) const;
  [[nodiscard]] Error wrong(const Option& option, std::string_view why) const;

  // Errors: kUsage if there is a target: for a sink that needs none.
  [[nodiscard]] Result<void> has_no_target() const;
};

// `url` with its secrets as ***: a password before @, however it is spelled, and the values of options such
// as token= and password=, which no sink has because a command line is seen by all. It hides too much rather
// than too little: an @ in a path may be hidden too.
[[nodiscard]] std::string without_secrets(std::string_view url);

// Behind the name of what would be a secret in a URL: why it is refused, and what to do instead.
inline constexpr std::string_view kWhyNoSecrets =
    "would show a secret to everybody who can list processes: use credentials_file=FILE, headers_file=FILE, "
    "token_env=NAME or user_env=NAME&password_env=NAME, where the sink has them";

// Whether an option with this key would hold a secret.
[[nodiscard]] bool is_secret_key(std::string_view key);

// `bytes` as they stand in a query: all but the unreserved of RFC 3986 as %XX.
[[nodiscard]] std::string percent_encoded(std::string_view bytes);

// Where the sinks of a network connect to: the host and port in a URL, and the addresses that they have.
// Threads: any; resolve() asks the system's resolver, which may take its own time.

// Reads what stands behind the scheme: //HOST, //HOST:PORT, //[IPV6]:PORT.
// Errors: kUsage, naming the URL and what is wrong with it.
[[nodiscard]] Result<HostPort> endpoint_of(const SinkUrl& url, std::uint16_t usual_port);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The addresses to try, in order; at least one. `type` is SOCK_STREAM or SOCK_DGRAM.
// Errors: kUnavailable, with the resolver's words.
[[nodiscard]] Result<std::vector<SocketAddress>> resolve(const HostPort& endpoint, int type);

}  // namespace natsession
