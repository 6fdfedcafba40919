#include "routes/route_regions.h"

#include <algorithm>
#include <bit>

#include <endian.h>

namespace natsession {
namespace {

std::array<std::uint64_t, 2> halves(const IpAddress& address) {
  const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
  return {be64toh(words[0]), be64toh(words[1])};
}

// The last of `starts`, which are sorted and begin with the least there is, that is not behind `value`.
// Without branches: which way it goes is chance.
template <typename T>
const T& last_not_behind(const std::vector<T>& starts, const T& value) {
  const T* base = starts.data();
  for (std::size_t count = starts.size(); count > 1;) {
    const std::size_t half = count / 2;
    base = base[half] <= value ? base + half : base;
    count -= half;
  }
  return *base;
}

template <typename T>
void sort_once(std::vector<T>& starts) {
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
}

}  // namespace

RouteRegions::RouteRegions() : v4_{0}, v6_{V6{0, 0}} {
  for (const char* const prefix : {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
                                   "255.255.255.255", "::", "::1", "fe80::/10", "ff00::/8"})
    add(*Prefix::parse(prefix));
  finish();
  prefixes_ = 0;
}

void RouteRegions::add(const Prefix& prefix) {
  ++prefixes_;
  if (prefix.lowest().is_v4()) {
    v4_.push_back(be32toh(prefix.lowest().v4()));
    const std::uint32_t behind = be32toh(prefix.highest().v4()) + 1;
    if (behind != 0) v4_.push_back(behind);
    return;
  }
  v6_.push_back(halves(prefix.lowest()));
  V6 behind = halves(prefix.highest());
  if (++behind[1] == 0) ++behind[0];
  if (behind != V6{0, 0}) v6_.push_back(behind);
}

void RouteRegions::finish() {
  sort_once(v4_);
  sort_once(v6_);
}

IpAddress RouteRegions::first_of(const IpAddress& address) const {
  if (address.is_v4()) return IpAddress::from_v4(htobe32(last_not_behind(v4_, be32toh(address.v4()))));
  const V6 first = last_not_behind(v6_, halves(address));
  return IpAddress::from_v6(
      std::bit_cast<std::array<std::uint8_t, 16>>(V6{htobe64(first[0]), htobe64(first[1])}));
}

}  // namespace natsession
