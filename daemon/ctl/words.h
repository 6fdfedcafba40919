// Numbers, sizes, times and texts as people read them.
// Threads: one; times are in the time zone of the process.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace natsession::ctl {

[[nodiscard]] std::string grouped(std::uint64_t number);                    // 12,345
[[nodiscard]] std::string bytes_in_words(std::uint64_t bytes);              // 1.2 GiB
[[nodiscard]] std::string time_in_words(UnixMs time);                       // 2026-11-21 14:57:03
[[nodiscard]] std::string span_in_words(std::chrono::milliseconds length);  // 3d 4h, 12s, 0.4s
// Text from elsewhere, without what would move a terminal's cursor: on one line.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace natsession::ctl
