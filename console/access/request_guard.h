// RequestGuard: which requests are answered at all, whoever asks: those that name this console (a page
// elsewhere whose name was made to mean our address does not), and changes and questions that come from our
// own pages.
// Threads: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/http_message.h"

namespace natsession::console {

// Of ASCII, as host names are compared (RFC 4343).
[[nodiscard]] std::string lower_case(std::string_view text);

class RequestGuard {
 public:
  // `hosts`: names that the console may be called by, without a port. At a unix socket any will do.
  RequestGuard(std::vector<std::string> hosts, bool unix_socket)
      : hosts_(std::move(hosts)), unix_socket_(unix_socket) {}

  // Why it is refused; nullopt: it is not.
  // Source: RFC 9110 7.2 (Host), RFC 6454 (Origin), Fetch Metadata (Sec-Fetch-Site, -Mode).
  [[nodiscard]] std::optional<std::string> refuse(const HttpServerRequest& request, bool is_api) const;

 private:
  std::vector<std::string> hosts_;
  bool unix_socket_;
};

}  // namespace natsession::console
