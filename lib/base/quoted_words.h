// The words of a line of rules, as nft and iptables-save write them.
// Threads: pure functions.
#pragma once

#include <string_view>
#include <vector>

namespace natsession {

enum class Escapes : bool { kNone, kBackslash };  // whether \" within quotes is a quote

// The words, parted by blanks. What stands in quotes is one word, with its first quote: a comment is no
// statement.
[[nodiscard]] std::vector<std::string_view> quoted_words(std::string_view line,
                                                         Escapes escapes = Escapes::kNone);

}  // namespace natsession
