// arc4random() and arc4random_buf() came with glibc 2.36. libcrypt.a asks for the latter, libstdc++.a for the
// former: its std::random_device, which this project does not use, is linked along with the strings of its
// exceptions. Here it is from what older ones have, so that nothing asks for 2.36.
#include <sys/random.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <unistd.h>

extern "C" void arc4random_buf(void* bytes, std::size_t size) noexcept {
  constexpr std::size_t kMost = 256;  // that getentropy gives at once
  for (auto* at = static_cast<unsigned char*>(bytes); size > 0;) {
    const std::size_t count = size < kMost ? size : kMost;
    if (getentropy(at, count) != 0) std::abort();
    at += count;
    size -= count;
  }
}

extern "C" std::uint32_t arc4random() noexcept {
  std::uint32_t number = 0;
  if (getentropy(&number, sizeof number) != 0) std::abort();
  return number;
}
