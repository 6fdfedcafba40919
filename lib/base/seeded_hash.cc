#include "base/seeded_hash.h"

#include <sys/random.h>

#include <random>

namespace natsession {

SeededHash SeededHash::random() {
  Key key{};
  if (::getrandom(key.data(), sizeof key, 0) != static_cast<ssize_t>(sizeof key)) {
    std::random_device device;  // a kernel or a filter of system calls that refuses it
    for (std::uint64_t& word : key) word = std::uint64_t{device()} << 32U | device();
  }
  for (std::uint64_t& word : key) word |= 1;  // a zero would fold all to nothing
  return SeededHash(key);
}

}  // namespace natsession
