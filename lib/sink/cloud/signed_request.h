// SignedRequest: what the clouds' services sign of a request, each in its own way; and the forms in which
// they want times and names.
// Threads: a plain value type; the functions keep no state.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

namespace natsession {

// Whom a request is from.
struct CloudKeys {
  std::string id;
  std::string secret;
  std::string token;             // of temporary keys; empty: they are lasting ones
  std::optional<UnixNs> expire;  // likewise, where it is known
  friend bool operator==(const CloudKeys&, const CloudKeys&) = default;
};

struct SignedRequest {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  std::string method;
  std::string path;         // as it is sent
  Pairs query;              // decoded
  Pairs headers;            // names in lower case
  std::string_view body{};  // as it is sent

  // Sorted by name, a value's spaces at its ends gone: only those of which `counts(name)` says so.
  template <typename Counts>
  [[nodiscard]] Pairs sorted_headers(Counts counts) const;
  // The header's value; empty: there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

// Mon, 30 Nov 2026 08:30:00 GMT, as RFC 9110, 5.6.7, wants it; and back. Nothing: it is no such text.
[[nodiscard]] std::string http_date(UnixNs time);
[[nodiscard]] std::optional<UnixNs> read_http_date(std::string_view text);
// 20261130T083000Z
[[nodiscard]] std::string basic_time(UnixNs time);
// 2026-11-30T08:30:00Z, with fractions of a second or without; or Unix seconds. Nothing: it is neither.
[[nodiscard]] std::optional<UnixNs> read_cloud_time(std::string_view text);

[[nodiscard]] std::vector<std::pair<std::string, std::string>> sorted(
    std::vector<std::pair<std::string, std::string>> pairs);

template <typename Counts>
SignedRequest::Pairs SignedRequest::sorted_headers(Counts counts) const {
  Pairs some;
  for (const auto& header : headers) {
    if (counts(std::string_view(header.first))) some.push_back(header);
  }
  return sorted(std::move(some));
}

}  // namespace natsession
