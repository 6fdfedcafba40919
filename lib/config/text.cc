#include "config/text.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace natsession {
namespace {

constexpr char32_t kNoCharacter = 0xffffffff;

// Takes one character off the front. Returns kNoCharacter if the bytes are not UTF-8 (RFC 3629).
char32_t take_character(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  text.remove_prefix(1);
  if (lead < 0x80) return lead;

  const std::size_t following = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < following) return kNoCharacter;
  char32_t character = lead & (0x3fU >> following);
  for (std::size_t i = 0; i < following; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0U) != 0x80) return kNoCharacter;
    character = (character << 6) | (byte & 0x3fU);
  }
  text.remove_prefix(following);

  const bool overlong = (following == 2 && character < 0x800) || (following == 3 && character < 0x10000);
  const bool surrogate = character >= 0xd800 && character <= 0xdfff;
  return overlong || surrogate || character > 0x10ffff ? kNoCharacter : character;
}

std::string comparable(std::string_view name) {
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  std::string result(name);
  for (char& c : result) c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
std::size_t typing_errors(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

constexpr std::size_t kLongestName = 64;  // nothing longer is a slip of the finger

}  // namespace

std::string toml_string(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      result += std::string("\\u00") + kDigits[byte >> 4] + kDigits[byte & 15];
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

Result<void> check_text(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const char32_t character = take_character(rest);
    if (character == kNoCharacter) return Error{ErrorKind::kUsage, in_quotes(text) + " is not UTF-8"};
    if (character < 0x20 || (character >= 0x7f && character < 0xa0)) {
      return Error{ErrorKind::kUsage, in_quotes(text) + " has a control character"};
    }
  }
  return {};
}

std::string in_quotes(std::string_view text) {
  std::string_view rest = text;
  bool fit = true;
  while (fit && !rest.empty()) {
    const char32_t character = take_character(rest);
    fit = character != kNoCharacter && character >= 0x20 && (character < 0x7f || character >= 0xa0);
  }
  if (fit) return "'" + std::string(text) + "'";

  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result = "'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      result += c;
    } else {
      result += "\\x";
      result += kDigits[byte >> 4];
      result += kDigits[byte & 0xf];
    }
  }
  return result + "'";
}

std::string_view nearest(std::string_view wanted, std::span<const std::string> known) {
  const std::string name = comparable(wanted);
  if (name.empty() || name.size() > kLongestName) return {};

  std::string_view begins_so;
  std::size_t beginning_so = 0;
  std::string_view best;
  std::size_t fewest = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::string other = comparable(candidate);
    if (other.starts_with(name) && beginning_so++ == 0) begins_so = candidate;
    const std::size_t errors = typing_errors(name, other);
    if (errors < fewest) {
      fewest = errors;
      best = candidate;
    }
  }
  // One letter alone is no hint unless a single name begins with it.
  if (name.size() == 1) return beginning_so == 1 ? begins_so : std::string_view{};
  if (fewest <= 1 && !best.empty()) return best;
  return begins_so.empty() ? best : begins_so;
}

}  // namespace natsession
