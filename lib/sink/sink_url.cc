#include "sink/sink_url.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace natsession {
namespace {

// Replaces %XX. False if a % is not followed by two hexadecimal digits, or they mean NUL.
bool decode(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned byte = 0;
    if (text.size() - i < 3) return false;
    const char* const end = text.data() + i + 3;
    const auto [rest, error] = std::from_chars(text.data() + i + 1, end, byte, 16);
    if (error != std::errc() || rest != end || byte == 0) return false;
    out += static_cast<char>(byte);
    i += 2;
  }
  return true;
}

constexpr std::string_view kBadEscape =
    "has a % that is not followed by two hexadecimal digits: write %25 for a % itself";

}  // namespace

Result<SinkUrl> SinkUrl::parse(std::string_view text) {
  SinkUrl url;
  url.text = text;
  if (text.find('\0') != std::string_view::npos) return url.wrong("has a NUL byte");
  const std::size_t question = text.find('?');
  const std::string_view place = text.substr(0, question);
  const std::size_t colon = place.find(':');
  url.scheme = place.substr(0, colon);
  if (colon != std::string_view::npos && !decode(place.substr(colon + 1), url.target))
    return url.wrong(kBadEscape);
  if (question == std::string_view::npos) return url;

  std::string_view query = text.substr(question + 1);
  while (true) {
    const std::size_t ampersand = query.find('&');
    const std::string_view pair = query.substr(0, ampersand);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return url.wrong("'" + std::string(pair) + "' is not an option: write key=value, and & between two");
    }
    Option option{std::string(pair.substr(0, equals)), {}};
    if (!decode(pair.substr(equals + 1), option.value)) {
      option.value = pair.substr(equals + 1);
      return url.wrong(option, "'" + option.value + "' " + std::string(kBadEscape));
    }
    const auto is_same = [&](const Option& other) { return other.key == option.key; };
    if (std::any_of(url.options.begin(), url.options.end(), is_same))
      return url.wrong(option, "is given twice");
    url.options.push_back(std::move(option));
    if (ampersand == std::string_view::npos) return url;
    query.remove_prefix(ampersand + 1);
  }
}

Error SinkUrl::wrong(std::string_view why) const {
  return Error{ErrorKind::kUsage, "sink '" + without_secrets(text) + "': " + std::string(why)};
}

Error SinkUrl::wrong(const Option& option, std::string_view why) const {
  return wrong(option.key + ": " + std::string(why));
}

const std::string* SinkUrl::find(std::string_view key) const {
  for (const Option& option : options) {
    if (option.key == key) return &option.value;
  }
  return nullptr;
}

Result<void> SinkUrl::has_no_target() const {
  if (!target.empty()) return wrong("'" + target + "': " + scheme + " takes no path or address");
  return {};
}

bool is_secret_key(std::string_view key) {
  static constexpr std::array<std::string_view, 12> kKeys{
      "header", "headers",  "authorization", "auth", "token",   "bearer",
      "user",   "username", "password",      "pass", "api_key", "credentials"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

std::string without_secrets(std::string_view url) {
  const std::size_t question = url.find('?');
  std::string text(url.substr(0, question));
  const std::size_t slashes = text.find("//");
  const std::size_t at = text.rfind('@');
  if (slashes != std::string::npos && at != std::string::npos && at > slashes) {
    const std::size_t colon = text.find(':', slashes);
    const std::size_t begin = colon < at ? colon + 1 : slashes + 2;
    text.replace(begin, at - begin, "***");
  }
  if (question == std::string_view::npos) return text;
  std::string_view query = url.substr(question + 1);
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

}  // namespace natsession
