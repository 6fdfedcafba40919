// arc4random() came with glibc 2.36, and libstdc++.a asks for it: its std::random_device, which this project
// does not use, is linked along with the strings of its exceptions. Here it is from what older ones have, so
// that nothing asks for 2.36.
#include <sys/random.h>

#include <cstdint>
#include <cstdlib>

#include <unistd.h>

extern "C" std::uint32_t arc4random() noexcept {
  std::uint32_t number = 0;
  if (getentropy(&number, sizeof number) != 0) std::abort();
  return number;
}
