// AssignmentTexts: the texts of assignments that are open, in as few bytes as they need: a MAC in six, what
// is the MAC once more in none.
// Threads: as whoever holds it says.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/huge_pages.h"
#include "base/short_text.h"

namespace natsession {

struct IdentityTexts {
  std::string_view subscriber, mac, host, id;
};

// The same, unpacked.
struct OwnIdentityTexts {
  std::string subscriber, mac, host, id;
};

class AssignmentTexts {
 public:
  using Place = std::uint32_t;

  // A text longer than kMaxIdentityText is cut.
  [[nodiscard]] Place add(const IdentityTexts& texts);
  void remove(Place place);
  [[nodiscard]] OwnIdentityTexts at(Place place) const;
  // Into the cache, for read(). Inlined by force: GCC 12 takes a function that only prefetches for one
  // without effect, and leaves out its calls.
  [[gnu::always_inline]] void prefetch(Place place) const {
    const std::uint8_t* const packed = unit(place);
    __builtin_prefetch(packed);
    __builtin_prefetch(packed + kUsualBytes - 1);
  }
  // What at() has, without the id.
  void read(Place place, ShortText& subscriber, ShortText& mac, ShortText& host) const;
  // Whether at() has these texts, as add() would keep them.
  [[nodiscard]] bool are(Place place, const IdentityTexts& texts) const;
  [[nodiscard]] std::size_t bytes() const { return blocks_.size() * kBlockBytes; }

 private:
  static constexpr std::size_t kUnit = 4;         // what a text takes is a multiple of it
  static constexpr std::size_t kUsualBytes = 24;  // a MAC, a host's name, and what is the MAC once more
  static constexpr std::size_t kBlockBytes = kHugePage;
  static constexpr std::size_t kUnitsOfBlock = kBlockBytes / kUnit;
  static constexpr std::size_t kMaxUnits = 258;  // of the longest

  // Of a block's end nothing is given out, so that ShortText::kAtOnce bytes can be read at any text.
  static constexpr std::size_t kUsableUnits = kUnitsOfBlock - ShortText::kAtOnce / kUnit;

  [[nodiscard]] std::uint8_t* unit(Place place) {
    return blocks_[place / kUnitsOfBlock].data() + place % kUnitsOfBlock * kUnit;
  }
  [[nodiscard]] const std::uint8_t* unit(Place place) const {
    return blocks_[place / kUnitsOfBlock].data() + place % kUnitsOfBlock * kUnit;
  }
  // Into packed_; its length is a multiple of kUnit.
  void pack(const IdentityTexts& texts);
  // A packed text begins with a byte that says in two bits each how its four texts stand.
  enum class Form : unsigned {
    kEmpty = 0,
    kBytes = 1,   // their number, and they
    kAsMac = 2,   // it is what mac is; of the id: that behind kEthernet
    kOctets = 3,  // pairs of hexadecimal digits between colons: how many, and they
  };
  template <typename Take>
  static const std::uint8_t* each(const std::uint8_t* packed, unsigned count, Take&& take);
  [[nodiscard]] std::size_t packed_bytes(const std::uint8_t* packed) const;
  [[nodiscard]] Place allocate(std::size_t units);
  void put_on_list(Place place, std::size_t units);

  using Block = std::vector<std::uint8_t, HugePageAllocator<std::uint8_t>>;

  std::vector<Block> blocks_;
  std::size_t used_of_last_ = kUsableUnits;
  std::array<Place, kMaxUnits + 1> free_{};  // by units, the first of a list and one more; 0: empty
  std::string packed_;
};

}  // namespace natsession
