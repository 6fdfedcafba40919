// HttpSettings: what the URL of an http or https sink says. HttpSecrets: what the sink tells the server about
// itself, read from files and the environment, so that none of it stands on a command line.
// Threads: a plain value type; the functions keep no state.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sink/encoding/compressor.h"
#include "sink/sink_kind.h"
#include "sink/sink_url.h"
#include "sink/transport/tls_settings.h"

namespace natsession {

struct HttpSettings {
  std::string origin;  // http://HOST:PORT, https://HOST:PORT; without a port that is the protocol's own
  std::string url;     // as it is asked for: the origin, and what stands behind the host in the sink's URL
  Compression compress = Compression::kGzip;
  std::chrono::milliseconds timeout{30'000};
  TlsSettings tls;

  // Where secrets come from; empty: not given. At most one of the last three groups is.
  std::string headers_file;      // lines of Name: value
  std::string credentials_file;  // one line, USER:PASSWORD
  std::string token_env;         // a variable of the environment
  std::string user_env;
  std::string password_env;

  // What a sink's URL stands for: `protocol` is http or https, `port` the usual one of the sink's scheme.
  // Errors: kUsage, naming URL, key and value.
  [[nodiscard]] static Result<HttpSettings> parse(const SinkUrl& url, std::string_view protocol,
                                                  std::uint16_t port);

  // Asks for `path` where the sink's URL has none.
  void set_usual_path(const SinkUrl& sink, std::string_view path);

  // The files in which secrets stand.
  [[nodiscard]] std::vector<std::string> secret_files() const;
};

// What a secret stands in. Neither is ever shown.
// Errors: kUsage, kPermission or kIo, naming the file, or the variable, and what is wrong: a file of more
//         than 64 KiB or that others may write; a variable that is not set, or has a control character.
[[nodiscard]] Result<std::string> read_secret_file(const std::string& path);
[[nodiscard]] Result<std::string> read_secret_variable(const std::string& name);
// Without space at its ends; whether something of it cannot stand in a header.
[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] bool has_control(std::string_view text);

// The options that http and https have in common.
[[nodiscard]] std::span<const Option<HttpSettings>> http_options();

// Never shown in a message.
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
