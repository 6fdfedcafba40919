#include "ask/read_stream.h"

namespace natsession::ctl {

std::string read_stream(std::FILE* file, std::size_t limit) {
  std::string text;
  std::string part(std::size_t{1} << 16, '\0');
  while (text.size() <= limit) {
    const std::size_t got = std::fread(part.data(), 1, part.size(), file);
    if (got == 0) break;
    text.append(part, 0, got);
  }
  return text;
}

}  // namespace natsession::ctl
