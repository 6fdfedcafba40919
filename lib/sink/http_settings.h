// HttpSettings: what the URL of an http or https sink says.
// Threads: a plain value type; the functions keep no state.
#pragma once

#include <chrono>
#include <span>
#include <string>

#include "base/result.h"
#include "sink/compressor.h"
#include "sink/sink_kind.h"
#include "sink/sink_url.h"
#include "sink/tls_settings.h"

namespace natsession {

struct HttpSettings {
  std::string url;  // as it is asked for
  Compression compress = Compression::kGzip;
  std::chrono::milliseconds timeout{30'000};
  TlsSettings tls;

  // Where secrets come from; empty: not given. At most one of the last three groups is.
  std::string headers_file;      // lines of Name: value
  std::string credentials_file;  // one line, USER:PASSWORD
  std::string token_env;         // a variable of the environment
  std::string user_env;
  std::string password_env;

  // Errors: kUsage, naming URL, key and value.
  [[nodiscard]] static Result<HttpSettings> parse(const SinkUrl& url);

  // Errors: kUsage, if a secret stands in the URL, with the way out and without the secret.
  [[nodiscard]] static Result<void> screen(const SinkUrl& url);
};

[[nodiscard]] std::span<const SinkOption> http_option_table();

}  // namespace natsession
