// RouteRegions: parts the addresses into regions of which each lies in the same routes' prefixes throughout,
// so that one answer of the kernel's is that of a whole region.
// Threads: one at a time; a plain value type.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "net/ip_address.h"

namespace natsession {

class RouteRegions {
 public:
  // The whole of each family, and what the kernel treats by itself: multicast, broadcast, the like.
  RouteRegions();

  // A prefix whose addresses may be routed in another way than those around it. Before finish().
  void add(const Prefix& prefix);
  void finish();
  [[nodiscard]] std::size_t prefixes() const { return prefixes_; }  // that were added

  // The first address of the region that `address` is in. After finish().
  [[nodiscard]] IpAddress first_of(const IpAddress& address) const;

 private:
  using V6 = std::array<std::uint64_t, 2>;  // this machine's byte order, the upper half first

  std::vector<std::uint32_t> v4_;  // where regions begin
  std::vector<V6> v6_;
  std::size_t prefixes_ = 0;
};

}  // namespace natsession
