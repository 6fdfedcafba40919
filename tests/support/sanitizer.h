// What the tests are compiled for, as -fsanitize= has it: all is slower then, with that of threads ten times.
#pragma once

#include <string_view>

namespace natsession::testing {

inline constexpr std::string_view kSanitizers = NATSESSION_SANITIZE;  // empty: none
inline constexpr bool kThreadSanitizer = kSanitizers == "thread";

}  // namespace natsession::testing
