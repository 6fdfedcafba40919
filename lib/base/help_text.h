// Text for a terminal: lines that are broken at spaces, and the rows of a --help.
// Units:   widths in characters, as far as each takes one place.
// Threads: any; pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace natsession {

inline constexpr std::size_t kHelpWidth = 80;
inline constexpr std::size_t kHelpColumn = 30;  // where the right side of a row begins

[[nodiscard]] std::size_t width_of(std::string_view text);

// `text` in lines of at most `width` characters; a longer word is a line of its own.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view text, std::size_t width);

// `left` at `indent`, and `right` beside it, or below it where there is no room, with a newline at the end.
[[nodiscard]] std::string help_row(std::size_t indent, std::string_view left, std::string_view right);

}  // namespace natsession
