// The decoder of refused packets takes any bytes: it never reads outside them, and says the same thing twice.
#include "fuzz/fuzz_main.h"
#include "nflog/refused_packet.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  RefusedPacket first;
  RefusedPacket second;
  second.mark = 0xabad1dea;
  const RefusedKind kind = decode_refused(input, first);
  require_that(decode_refused(input, second) == kind, "the same bytes give the same result");
  require_that(first == second, "the same bytes give the same packet, whatever was there before");
  if (kind != RefusedKind::kPacket) return;
  require_that(first.length >= 20, "a packet has a header");
  require_that(first.src.is_v4() == first.dst.is_v4() || first.length >= 40,
               "only IPv6 mixes mapped addresses");
  require_that(first.protocol == 6 || first.tcp_flags == 0, "only TCP has flags");
  require_that(first.time.time_since_epoch().count() >= 0, "time does not overflow");
}

}  // namespace natsession::testing
