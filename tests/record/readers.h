// Readers of the three formats, none of which knows the encoders: they are the other side of the round trip.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace natsession::testing {

struct JsonMember {
  enum class Kind { kNull, kNumber, kString };
  std::string key;
  Kind kind = Kind::kNull;
  std::string text;  // a number exactly as it was written, a string unescaped
};

// A flat JSON object, members in order. Nothing if the text is not JSON by RFC 8259 (invalid UTF-8 included),
// is nested, holds true or false, or repeats a key.
[[nodiscard]] std::optional<std::vector<JsonMember>> read_json(std::string_view text);

// The rows of a CSV text by RFC 4180, with lone newlines as line ends. Nothing if a quote stands where none
// may.
[[nodiscard]] std::optional<std::vector<std::vector<std::string>>> read_csv(std::string_view text);

// The pairs of one logfmt line, which ends with a newline. Nothing if it is malformed.
[[nodiscard]] std::optional<std::vector<std::pair<std::string, std::string>>> read_logfmt(
    std::string_view line);

}  // namespace natsession::testing
