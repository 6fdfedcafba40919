// IndexSlots: finds things of a table by a hash. Each slot has a thing's index and some bits of its hash, so
// that a thing is looked at that is nearly always meant. Several may have the same hash.
// Threads: as whoever holds it says; look-ups do not change it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/huge_pages.h"

namespace natsession {

class IndexSlots {
 public:
  using Index = std::uint32_t;
  static constexpr Index kMostIndices = (Index{1} << 26U) - 1;  // they are smaller
  static constexpr std::size_t kNone = ~std::size_t{0};

  [[nodiscard]] Index at(std::size_t slot) const { return slots_[slot] & kMostIndices; }
  // The next slot, from the one that `hash` begins with, whose index is_meant(Index); kNone: there is none.
  template <typename IsMeant>
  [[nodiscard]] std::size_t find(std::uint64_t hash, IsMeant&& is_meant) const {
    if (slots_.empty()) return kNone;
    for (std::size_t slot = begin_of(hash); slots_[slot] != kEmpty; slot = behind(slot)) {
      if ((slots_[slot] & ~kMostIndices) == tag_of(hash) && is_meant(at(slot))) return slot;
    }
    return kNone;
  }
  // What find() begins with, into the cache; and what that probably finds, without a look at the thing.
  [[gnu::always_inline]] void prefetch(std::uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[begin_of(hash)]);
  }
  [[nodiscard]] std::size_t probable(std::uint64_t hash) const {
    return find(hash, [](Index) { return true; });
  }

  // `hash_of(Index)`: of what is in it already, where it grows.
  template <typename HashOf>
  void insert(std::uint64_t hash, Index index, HashOf&& hash_of) {
    // Six of seven are used at most.
    if ((used_ + 1) * 7 > slots_.size() * 6) grow(hash_of);
    put(tag_of(hash) | index, hash);
    ++used_;
  }
  // Another of the same hash in its place.
  void replace(std::size_t slot, Index index) { slots_[slot] = (slots_[slot] & ~kMostIndices) | index; }
  // Those behind it move up, so that no look-up ends before it should.
  template <typename HashOf>
  void remove(std::size_t slot, HashOf&& hash_of) {
    slots_[slot] = kEmpty;
    --used_;
    const auto distance = [&](std::size_t from, std::size_t to) {
      return to >= from ? to - from : to + slots_.size() - from;
    };
    for (std::size_t next = behind(slot); slots_[next] != kEmpty; next = behind(next)) {
      const std::size_t wanted = begin_of(hash_of(at(next)));
      if (distance(wanted, next) < distance(slot, next)) continue;
      slots_[slot] = slots_[next];
      slots_[next] = kEmpty;
      slot = next;
    }
  }
  [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(slots_[0]); }

 private:
  using Slots = std::vector<std::uint32_t, HugePageAllocator<std::uint32_t>>;
  static constexpr std::uint32_t kEmpty = ~std::uint32_t{0};

  [[nodiscard]] static std::uint32_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash) & ~kMostIndices;
  }
  // Multiplied into the range, so that there may be any number of slots: a quarter more each time, not twice
  // as many.
  [[nodiscard]] std::size_t begin_of(std::uint64_t hash) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::size_t>(static_cast<Wide>(hash) * slots_.size() >> 64U);
  }
  [[nodiscard]] std::size_t behind(std::size_t slot) const {
    return slot + 1 == slots_.size() ? 0 : slot + 1;
  }
  void put(std::uint32_t filled, std::uint64_t hash) {
    std::size_t slot = begin_of(hash);
    while (slots_[slot] != kEmpty) slot = behind(slot);
    slots_[slot] = filled;
  }
  template <typename HashOf>
  void grow(HashOf&& hash_of) {
    constexpr std::size_t kLeast = 1024;
    Slots before(std::max(kLeast, slots_.size() + slots_.size() / 4), kEmpty);
    before.swap(slots_);
    for (const std::uint32_t filled : before) {
      if (filled != kEmpty) put(filled, hash_of(filled & kMostIndices));
    }
  }

  Slots slots_;
  std::size_t used_ = 0;
};

}  // namespace natsession
