// HttpClient: posts to one URL, over one connection that is kept. It alone uses libcurl.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sink/http_settings.h"

namespace natsession {

struct HttpReply {
  int status = 0;        // 0: there was no whole answer; see `error`
  std::string error;     // why
  bool refused = false;  // likewise: one side does not accept the other's certificate
  std::string body;      // the beginning of it, as one line that can be shown
  std::string location;  // of a redirect, which is not followed
  std::optional<std::chrono::milliseconds> retry_after;
};

class HttpClient {
 public:
  static const bool kBuiltIn;  // this program knows libcurl; else no_http.cc stands in for http_client.cc

  // Connects to nothing yet.
  // Errors: kUnavailable, kUsage or kPermission, naming the file that cannot be read; as LibCurl::get().
  [[nodiscard]] static Result<std::unique_ptr<HttpClient>> create(const HttpSettings& settings,
                                                                  const HttpSecrets& secrets);
  virtual ~HttpClient() = default;

  // Connects, with TLS where the URL says so, and asks for nothing. Not to be used for posting any more.
  // Errors: kUnavailable with the cause.
  [[nodiscard]] virtual Result<void> connect(std::chrono::milliseconds limit) = 0;

  // `batch` is the value of X-NatSession-Batch. Takes as long as the settings' timeout at most.
  [[nodiscard]] virtual HttpReply post(std::string_view body, const std::string& batch) = 0;
};

}  // namespace natsession
