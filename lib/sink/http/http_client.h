// HttpClient: asks one HTTP server, over one connection that is kept. It alone uses libcurl.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sink/http/http_settings.h"

namespace natsession {

// The beginning of what a server said, as one line of ASCII that can be shown.
[[nodiscard]] std::string as_shown(std::string_view bytes);

struct HttpRequest {
  enum class Method { kPost, kGet, kPut };
  Method method = Method::kPost;
  std::string url = {};                   // empty: that of the settings
  std::vector<std::string> headers = {};  // Name: value; those of HttpSecrets stand behind them
  std::string_view body = {};             // kPost and kPut; as it goes over the wire
  // Takes the body of an answer with a status of 200 as it comes, of any length, in place of HttpReply::body.
  // False: no more of it is wanted, and the connection is given up.
  std::function<bool(std::string_view part)> on_body = {};
};

struct HttpReply {
  int status = 0;        // 0: there was no whole answer; see `error`
  std::string error;     // why
  bool refused = false;  // likewise: one side does not accept the other's certificate
  std::string body;      // as it came; cut off behind kMaxBytes
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string location;                                      // of a redirect, which is not followed
  std::optional<std::chrono::milliseconds> retry_after;

  static constexpr std::size_t kMaxBytes = 1 << 20;

  // The header's value; empty: there is none. `name` is in lower case.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  // It is a page for people: a proxy's, or a portal's that wants a login, and no service's.
  [[nodiscard]] bool is_page() const;
  // For people: what was done, by whom (`operation`: "post to URL"), and what came of it.
  [[nodiscard]] std::string told(std::string_view operation) const;
};

class HttpClient {
 public:
  static const bool kBuiltIn;  // this program knows libcurl; else no_http.cc stands in for http_client.cc

  // Connects to nothing yet.
  // Errors: kUnavailable, kUsage or kPermission, naming the file that cannot be read; as LibCurl::get().
  [[nodiscard]] static Result<std::unique_ptr<HttpClient>> create(const HttpSettings& settings,
                                                                  const HttpSecrets& secrets);
  virtual ~HttpClient() = default;

  // Connects, with TLS where the URL says so, and asks for nothing. Not to be used for sending any more.
  // Errors: kUnavailable with the cause.
  [[nodiscard]] virtual Result<void> connect(std::chrono::milliseconds limit) = 0;

  // Takes as long as the settings' timeout at most.
  [[nodiscard]] virtual HttpReply send(const HttpRequest& request) = 0;
};

}  // namespace natsession
