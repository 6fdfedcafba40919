#include "ledger/rans.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace natsession {

void share_out(std::span<const std::uint32_t> counts, std::span<std::uint16_t> shares) {
  const std::uint64_t total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (total == 0) return std::fill(shares.begin(), shares.end(), std::uint16_t{0});
  std::uint32_t given = 0;
  std::size_t largest = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::uint64_t share = (counts[i] * std::uint64_t{kRansTotal} + total / 2) / total;
    shares[i] = static_cast<std::uint16_t>(counts[i] == 0 ? 0 : std::max<std::uint64_t>(1, share));
    given += shares[i];
    if (counts[i] > counts[largest]) largest = i;
  }
  // What is missing goes to the most frequent, which feels it least; what is too much is taken where most is.
  if (given < kRansTotal) shares[largest] = static_cast<std::uint16_t>(shares[largest] + kRansTotal - given);
  while (given > kRansTotal) {
    const auto most = std::max_element(shares.begin(), shares.end());
    const std::uint32_t taken =
        std::min<std::uint32_t>(given - kRansTotal, std::max<std::uint32_t>(1, *most / 8U));
    *most = static_cast<std::uint16_t>(*most - taken);
    given -= taken;
  }
}

RansEncoder::Range RansEncoder::range_of(std::uint16_t below, std::uint16_t share) {
  Range range;
  range.rest = static_cast<std::uint16_t>(kRansTotal - share);
  range.offset = below;
  // A share of everything never needs a word.
  range.last = static_cast<std::uint32_t>((std::uint64_t{share} << (32 - kRansBits)) - 1);
  if (share > 1) {
    range.reciprocal = ~std::uint64_t{0} / share + 1;
  } else {
    range.reciprocal = ~std::uint64_t{0};
    range.offset = static_cast<std::uint16_t>(below + kRansTotal - 1);
  }
  return range;
}

bool RansTable::load(std::span<const Share> shares) {
  std::uint32_t place = 0;
  for (const auto& [share, symbol] : shares) {
    if (share > kRansTotal - place) return false;
    // Most shares are small: what is written too far, the next symbols write over.
    std::uint8_t* at = symbols_.data() + place;
    std::uint8_t* const end = at + share;
    do {
      std::memset(at, symbol, kAtOnce);
      at += kAtOnce;
    } while (at < end);
    ranges_[symbol] = share | place << 16;
    place += share;
  }
  certain_ = shares.size() == 1;
  return place == kRansTotal;
}

}  // namespace natsession
