// The reader of a command's lines takes any bytes.
#include "fuzz/identity_text.h"
#include "identity/sources/told_lines.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  constexpr UnixMs kNow{std::chrono::seconds(1'796'067'700)};
  CheckedOutput output(kNow);
  ToldLines lines;
  std::string_view rest(reinterpret_cast<const char*>(input.data()), input.size());
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    lines.line(rest.substr(0, end), kNow, output);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

}  // namespace natsession::testing
