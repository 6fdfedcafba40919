#include <algorithm>

#include "sink/http/http_client.h"

namespace natsession {
namespace {

constexpr std::size_t kShownBytes = 200;

}  // namespace

std::string as_shown(std::string_view bytes) {
  std::string shown(bytes.substr(0, kShownBytes));
  for (char& byte : shown) {
    if (byte <= ' ' || byte >= '\x7f') byte = ' ';
  }
  return shown.substr(0, shown.find_last_not_of(' ') + 1);
}

std::string_view HttpReply::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [name](const auto& header) { return header.first == name; });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

bool HttpReply::is_page() const {
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  return header("content-type").find("text/html") != std::string_view::npos ||
         (first != std::string::npos && body[first] == '<');
}

std::string HttpReply::told(std::string_view operation) const {
  std::string text(operation);
  text += ": ";
  if (status == 0) return text + error;
  text += "status " + std::to_string(status);
  if (!location.empty()) text += ": it has moved to " + without_secrets(location) + ", which is not followed";
  if (const std::string shown = as_shown(body); !shown.empty()) text += ": " + shown;
  return text;
}

}  // namespace natsession
