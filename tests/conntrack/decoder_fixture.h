// What the decoder's tests share: decode bytes that lie in a heap block of exactly their size, so that a
// sanitizer sees every read outside.
#pragma once

#include <linux/netfilter/nfnetlink_conntrack.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "conntrack/decoder.h"
#include "support/nl_message_builder.h"

namespace natsession::testing {

struct Decoded {
  DecodeResult result = DecodeResult::kMalformed;
  ConntrackEvent event;
  DecodeCounters counters;
};

// An event that no test expects: shows whether `out` was touched.
inline ConntrackEvent sentinel() {
  ConntrackEvent event;
  event.id = 0xabad1dea;
  event.protocol = 255;
  return event;
}

inline Decoded decode_copy(std::span<const std::byte> message) {
  const auto copy = std::make_unique<std::byte[]>(message.size());
  if (!message.empty()) std::memcpy(copy.get(), message.data(), message.size());
  Decoded decoded;
  decoded.event = sentinel();
  decoded.result = decode({copy.get(), message.size()}, decoded.event, decoded.counters);
  return decoded;
}

inline const TupleSpec kOriginal = tcp("10.0.0.2", 4000, "198.51.100.2", 80);
inline const TupleSpec kReply = tcp("198.51.100.2", 80, "203.0.113.1", 50001);
inline constexpr std::uint32_t kSnatStatus =
    0x1be;  // SEEN_REPLY ASSURED CONFIRMED SRC_NAT and both NAT_DONE bits
inline constexpr std::uint16_t kTimestampEvent = 27;  // CTA_TIMESTAMP_EVENT of Linux 6.14

// A DESTROY with everything in it that the decoder reads.
inline NlMessageBuilder full_destroy() {
  return NlMessageBuilder::event(NlMessageBuilder::kDestroy)
      .tuple(CTA_TUPLE_ORIG, kOriginal)
      .tuple(CTA_TUPLE_REPLY, kReply)
      .be32(CTA_ID, 0x12345678)
      .be32(CTA_STATUS, kSnatStatus)
      .be32(CTA_TIMEOUT, 119)
      .be32(CTA_MARK, 0xdeadbeef)
      .be16(CTA_ZONE, 7)
      .counters(CTA_COUNTERS_ORIG, 6, 400)
      .counters(CTA_COUNTERS_REPLY, 5'000'000'000, 7'000'000'000'000)
      .nest(CTA_TIMESTAMP,
            [](NlMessageBuilder& nested) {
              nested.be64(CTA_TIMESTAMP_START, 1'795'263'662'108'000'001)
                  .be64(CTA_TIMESTAMP_STOP, 1'795'263'663'000'000'002);
            })
      .be64(kTimestampEvent, 1'795'263'663'000'000'003)
      .tcp_state(7);
}

}  // namespace natsession::testing
