// The harness that every fuzz target shares. A target defines fuzz_one() and includes this file once.
// With libFuzzer (preset `fuzz`) it becomes a fuzzer. Without, a program that replays files and folders of
// inputs, which is how ctest runs it with every compiler:
//   fuzz_NAME PATH...
// A target aborts when something does not hold: require_that().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <vector>

namespace natsession::testing {

// The target. `input` lies in a heap block of exactly its size, so that a sanitizer sees every read outside.
void fuzz_one(std::span<const std::byte> input);

inline void require_that(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline void fuzz_copy(const void* data, std::size_t size) {
  const auto copy = std::make_unique<std::byte[]>(size);
  if (size != 0) std::memcpy(copy.get(), data, size);
  fuzz_one({copy.get(), size});
}

inline std::size_t replay(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    fuzz_copy(bytes.data(), bytes.size());
    return 1;
  }
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) count += replay(entry.path());
  return count;
}

}  // namespace natsession::testing

#ifdef NATSESSION_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  natsession::testing::fuzz_copy(data, size);
  return 0;
}
#else
int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int index = 1; index < argc; ++index) count += natsession::testing::replay(argv[index]);
  std::printf("%zu inputs replayed\n", count);
  return count == 0 ? 2 : 0;
}
#endif
