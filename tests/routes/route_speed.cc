// What a look-up of RouteTable costs, in this machine's own routes: one that is remembered, one that is not.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/time.h"
#include "routes/route_table.h"

namespace {

template <typename Work>
double ns_each(std::size_t count, Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < count; ++i) work(i);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / static_cast<double>(count);
}

}  // namespace

int main() {
  const natsession::SystemClock clock;
  auto table = natsession::RouteTable::open(clock);
  if (!table) {
    std::fprintf(stderr, "route_speed: %s\n", table.error().message.c_str());
    return 1;
  }
  constexpr std::size_t kAddresses = 40'000;
  std::vector<natsession::IpAddress> addresses;
  for (std::uint32_t i = 0; i < kAddresses; ++i)
    addresses.push_back(natsession::IpAddress::from_v4(0x0000000aU | (i * 2654435761U & 0xffffff00U)));
  std::uint64_t sum = 0;
  const auto look = [&](std::size_t i) { sum += table->interface_of(addresses[i % kAddresses]).interface; };
  const double miss = ns_each(kAddresses, look);
  std::uint64_t asked = table->asked();
  const double hit = ns_each(kAddresses * 50, look);
  const double few = ns_each(kAddresses * 50, [&](std::size_t i) { look(i % 64); });
  std::printf("miss %.0f ns (%lu asked), hit among 40,000 %.1f ns (%lu asked), among 64 %.1f ns; sum %lu\n",
              miss, asked, hit, table->asked() - asked, few, sum);
  return 0;
}
