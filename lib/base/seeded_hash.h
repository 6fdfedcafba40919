// SeededHash: a hash of a few words under a key of this process, for tables whose keys come off the wire: who
// does not know the key cannot choose keys that meet in one place of the table.
// Threads: a plain value type.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace natsession {

class SeededHash {
 public:
  using Key = std::array<std::uint64_t, 4>;

  // A key that nobody knows: of the kernel's random numbers.
  [[nodiscard]] static SeededHash random();
  // For tests: always the same.
  explicit SeededHash(const Key& key) : key_(key) {}

  template <std::size_t kCount>
  [[nodiscard]] std::uint64_t operator()(const std::array<std::uint64_t, kCount>& words) const {
    static_assert(kCount > 0);
    std::uint64_t state = key_[0];
    for (std::size_t i = 0; i < kCount; i += 2) {
      const std::uint64_t second = i + 1 < kCount ? words[i + 1] : 0;
      state = folded(words[i] ^ key_[1] ^ state, second ^ key_[2]) + key_[3];
    }
    return folded(state ^ key_[1], key_[3]);
  }
  // Of a text, and what was hashed before it.
  [[nodiscard]] std::uint64_t of_text(std::uint64_t before, std::string_view text) const {
    std::uint64_t state = (*this)(std::array<std::uint64_t, 2>{before, text.size()});
    while (!text.empty()) {
      std::uint64_t word = 0;
      const std::size_t taken = std::min(text.size(), sizeof word);
      std::memcpy(&word, text.data(), taken);
      text.remove_prefix(taken);
      state = (*this)(std::array<std::uint64_t, 2>{state, word});
    }
    return state;
  }

 private:
  // The two halves of the whole product, on top of each other: each bit of either depends on all before it.
  [[nodiscard]] static std::uint64_t folded(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  }

  Key key_;
};

}  // namespace natsession
