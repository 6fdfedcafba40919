#include "access/request_guard.h"

#include <algorithm>
#include <string_view>

namespace natsession::console {
namespace {

// Without the port.
std::string host_of(std::string_view authority) {
  if (authority.starts_with('[')) return lower_case(authority.substr(0, authority.find(']') + 1));
  return lower_case(authority.substr(0, authority.find(':')));
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::optional<std::string> RequestGuard::refuse(const HttpServerRequest& request, bool is_api) const {
  const std::string_view host = request.field("Host");
  if (!unix_socket_ && std::find(hosts_.begin(), hosts_.end(), host_of(host)) == hosts_.end()) {
    return "the console is not called '" + std::string(host.substr(0, 100)) +
           "': --host NAME lets it be called so";
  }
  if (!is_api) return std::nullopt;
  const std::string_view site = request.field("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none") return "a page of another site asks";
  // A mail's link comes as "none", as an address that was typed does: it would be asked without a look at it.
  if (request.field("Sec-Fetch-Mode") == "navigate" && request.path != "/api/v1/openapi.json")
    return "questions are asked by the console's pages and by programs, not by a link: open / instead";
  const std::string_view origin = request.field("Origin");
  if (!origin.empty()) {
    const std::size_t scheme = origin.find("://");
    if (scheme == std::string_view::npos || lower_case(origin.substr(scheme + 3)) != lower_case(host))
      return "a page of another site asks";
  }
  return std::nullopt;
}

}  // namespace natsession::console
