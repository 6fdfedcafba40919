#include "base/url_parts.h"

#include <algorithm>
#include <charconv>

namespace natsession {
namespace {

// Replaces %XX. False if a % is not followed by two hexadecimal digits, or they mean NUL.
bool decode_percent(std::string_view text, std::string& out) {
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

Result<UrlParts> UrlParts::parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return usage_error("has a NUL byte");
  UrlParts url;
  const std::size_t question = text.find('?');
  const std::string_view place = text.substr(0, question);
  const std::size_t colon = place.find(':');
  url.scheme = place.substr(0, colon);
  if (colon != std::string_view::npos && !decode_percent(place.substr(colon + 1), url.target))
    return usage_error(std::string(kBadEscape));
  if (question == std::string_view::npos) return url;

  std::string_view query = text.substr(question + 1);
  while (true) {
    const std::size_t ampersand = query.find('&');
    const std::string_view pair = query.substr(0, ampersand);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return usage_error("'" + std::string(pair) + "' is not an option: write key=value, and & between two");
    }
    Option option{std::string(pair.substr(0, equals)), {}};
    const auto wrong = [&](const std::string& why) { return usage_error(option.key + ": " + why); };
    const std::string_view value = pair.substr(equals + 1);
    if (!decode_percent(value, option.value))
      return wrong("'" + std::string(value) + "' " + std::string(kBadEscape));
    const auto is_same = [&](const Option& other) { return other.key == option.key; };
    if (std::any_of(url.options.begin(), url.options.end(), is_same)) return wrong("is given twice");
    url.options.push_back(std::move(option));
    if (ampersand == std::string_view::npos) return url;
    query.remove_prefix(ampersand + 1);
  }
}

}  // namespace natsession
