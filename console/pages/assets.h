// The pages' files, as they were when the program was built.
// Threads: constants.
#pragma once

#include <span>
#include <string_view>

namespace natsession::console {

struct Asset {
  std::string_view path;  // as it is asked for, "/app.js"
  std::string_view type;  // Content-Type
  std::string_view tag;   // changes with the bytes
  std::string_view bytes;
};

// Defined in a file that embed.py writes.
[[nodiscard]] std::span<const Asset> assets();

}  // namespace natsession::console
