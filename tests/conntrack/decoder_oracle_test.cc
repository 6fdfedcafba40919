// The decoder against libnetfilter_conntrack, on messages that a real kernel made
// (tests/fuzz/capture-corpus.sh).
#include <libmnl/libmnl.h>

#include <memory>
#include <set>

#include <catch2/catch.hpp>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "conntrack/decoder_fixture.h"
#include "support/corpus.h"

namespace natsession::testing {
namespace {

using Entry = std::unique_ptr<nf_conntrack, decltype(&nfct_destroy)>;

bool has(const nf_conntrack* entry, nf_conntrack_attr attribute) {
  return nfct_attr_is_set(entry, attribute) > 0;
}

IpAddress address(const nf_conntrack* entry, nf_conntrack_attr v4, nf_conntrack_attr v6) {
  if (has(entry, v4)) return IpAddress::from_v4(nfct_get_attr_u32(entry, v4));
  std::array<std::uint8_t, 16> bytes{};
  REQUIRE(has(entry, v6));
  std::memcpy(bytes.data(), nfct_get_attr(entry, v6), bytes.size());
  return IpAddress::from_v6(bytes);
}

std::uint16_t port(const nf_conntrack* entry, nf_conntrack_attr attribute) {
  return has(entry, attribute) ? be16toh(nfct_get_attr_u16(entry, attribute)) : std::uint16_t{0};
}

// libnetfilter_conntrack has no getter for what the reply tuple of ICMP says; its text does.
unsigned reply_icmp(const nf_conntrack* entry, const std::string& field) {
  std::array<char, 1024> text{};
  nfct_snprintf(text.data(), text.size(), entry, NFCT_T_UNKNOWN, NFCT_O_DEFAULT, 0);
  const std::string line = text.data();
  const std::string key = " " + field + "=";
  const std::size_t at = line.find(key, line.find(key) + 1);
  REQUIRE(at != std::string::npos);
  return static_cast<unsigned>(std::stoul(line.substr(at + key.size())));
}

std::uint16_t icmp_code(unsigned type, unsigned code) {
  return static_cast<std::uint16_t>(type << 8 | code);
}

Tuple original_tuple(const nf_conntrack* entry, bool icmp) {
  Tuple tuple{address(entry, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC),
              address(entry, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST), port(entry, ATTR_ORIG_PORT_SRC),
              port(entry, ATTR_ORIG_PORT_DST)};
  if (icmp) {
    tuple.src_port = port(entry, ATTR_ICMP_ID);
    tuple.dst_port =
        icmp_code(nfct_get_attr_u8(entry, ATTR_ICMP_TYPE), nfct_get_attr_u8(entry, ATTR_ICMP_CODE));
  }
  return tuple;
}

Tuple reply_tuple(const nf_conntrack* entry, bool icmp) {
  Tuple tuple{address(entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC),
              address(entry, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST), port(entry, ATTR_REPL_PORT_SRC),
              port(entry, ATTR_REPL_PORT_DST)};
  if (icmp) {
    tuple.src_port = static_cast<std::uint16_t>(reply_icmp(entry, "id"));
    tuple.dst_port = icmp_code(reply_icmp(entry, "type"), reply_icmp(entry, "code"));
  }
  return tuple;
}

std::optional<Counters> counters(const nf_conntrack* entry, nf_conntrack_attr packets,
                                 nf_conntrack_attr bytes) {
  if (!has(entry, packets) || !has(entry, bytes)) return std::nullopt;
  return Counters{nfct_get_attr_u64(entry, packets), nfct_get_attr_u64(entry, bytes)};
}

std::optional<UnixNs> stamp(const nf_conntrack* entry, nf_conntrack_attr attribute) {
  if (!has(entry, attribute) || nfct_get_attr_u64(entry, attribute) == 0) return std::nullopt;
  return UnixNs(std::chrono::nanoseconds(nfct_get_attr_u64(entry, attribute)));
}

std::uint16_t zone(const nf_conntrack* entry) {
  for (const auto attribute : {ATTR_ZONE, ATTR_ORIG_ZONE, ATTR_REPL_ZONE}) {
    if (has(entry, attribute)) return nfct_get_attr_u16(entry, attribute);
  }
  return 0;
}

// libnetfilter_conntrack 1.0.9 does not know the attribute; libmnl finds it.
std::optional<UnixNs> event_stamp(const nlmsghdr* message) {
  const auto* at = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(nfgenmsg)));
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  for (; mnl_attr_ok(at, static_cast<int>(end - reinterpret_cast<const char*>(at))); at = mnl_attr_next(at)) {
    if (mnl_attr_get_type(at) == kTimestampEvent) {
      return UnixNs(std::chrono::nanoseconds(be64toh(mnl_attr_get_u64(at))));
    }
  }
  return std::nullopt;
}

// What the oracle says about a message.
ConntrackEvent oracle(const nlmsghdr* message) {
  const Entry owner(nfct_new(), nfct_destroy);
  const nf_conntrack* entry = owner.get();
  REQUIRE(nfct_nlmsg_parse(message, owner.get()) >= 0);
  ConntrackEvent event;
  const bool destroyed = (message->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE;
  const bool created = (message->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL)) != 0;
  event.type = destroyed ? EventType::kDestroy : created ? EventType::kNew : EventType::kUpdate;
  event.protocol = nfct_get_attr_u8(entry, ATTR_L4PROTO);
  const bool icmp = event.protocol == IPPROTO_ICMP || event.protocol == IPPROTO_ICMPV6;
  event.original = original_tuple(entry, icmp);
  event.reply = reply_tuple(entry, icmp);
  event.id = nfct_get_attr_u32(entry, ATTR_ID);
  event.status = nfct_get_attr_u32(entry, ATTR_STATUS);
  if (has(entry, ATTR_MARK)) event.mark = nfct_get_attr_u32(entry, ATTR_MARK);
  event.zone = zone(entry);
  if (has(entry, ATTR_TCP_STATE))
    event.tcp_state = static_cast<TcpState>(nfct_get_attr_u8(entry, ATTR_TCP_STATE));
  if (has(entry, ATTR_TIMEOUT)) event.timeout_seconds = nfct_get_attr_u32(entry, ATTR_TIMEOUT);
  event.original_counters = counters(entry, ATTR_ORIG_COUNTER_PACKETS, ATTR_ORIG_COUNTER_BYTES);
  event.reply_counters = counters(entry, ATTR_REPL_COUNTER_PACKETS, ATTR_REPL_COUNTER_BYTES);
  event.start = stamp(entry, ATTR_TIMESTAMP_START);
  event.stop = stamp(entry, ATTR_TIMESTAMP_STOP);
  event.event = event_stamp(message);
  return event;
}

void check_equal(const ConntrackEvent& ours, const ConntrackEvent& theirs) {
  CHECK(ours.type == theirs.type);
  CHECK(ours.protocol == theirs.protocol);
  CHECK(ours.original == theirs.original);
  CHECK(ours.reply == theirs.reply);
  CHECK(ours.id == theirs.id);
  CHECK(ours.status == theirs.status);
  CHECK(ours.mark == theirs.mark);
  CHECK(ours.zone == theirs.zone);
  CHECK(ours.tcp_state == theirs.tcp_state);
  CHECK(ours.timeout_seconds == theirs.timeout_seconds);
  CHECK(ours.original_counters == theirs.original_counters);
  CHECK(ours.reply_counters == theirs.reply_counters);
  CHECK(ours.start == theirs.start);
  CHECK(ours.stop == theirs.stop);
  CHECK(ours.event == theirs.event);
}

}  // namespace

TEST_CASE("decoder agrees with libnetfilter_conntrack on every message of a real kernel",
          "[conntrack][decoder]") {
  for (const CorpusMessage& message : read_corpus(NATSESSION_DECODER_CORPUS)) {
    INFO(message.name);
    const Decoded decoded = decode_copy(message.bytes);
    REQUIRE(decoded.result == DecodeResult::kEvent);
    CHECK(decoded.counters.unknown_attributes == 0);
    CHECK(decoded.counters.without_status == 0);
    alignas(nlmsghdr) std::array<std::byte, 4096> aligned{};
    REQUIRE(message.bytes.size() <= aligned.size());
    std::copy(message.bytes.begin(), message.bytes.end(), aligned.begin());
    check_equal(decoded.event, oracle(reinterpret_cast<const nlmsghdr*>(aligned.data())));
  }
}

TEST_CASE("decoder infers from real tuples the NAT bits that the kernel set", "[conntrack][decoder]") {
  for (const CorpusMessage& message : read_corpus(NATSESSION_DECODER_CORPUS)) {
    INFO(message.name);
    // Renumbering CTA_STATUS to an attribute that is not read takes it out.
    auto bytes = message.bytes;
    std::size_t at = sizeof(nlmsghdr) + sizeof(nfgenmsg);
    while (at < bytes.size()) {
      nlattr header{};
      std::memcpy(&header, bytes.data() + at, sizeof(header));
      if (header.nla_type == CTA_STATUS) {
        header.nla_type = CTA_USE;
        std::memcpy(bytes.data() + at, &header, sizeof(header));
      }
      at += NLMSG_ALIGN(header.nla_len);
    }
    const Decoded inferred = decode_copy(bytes);
    REQUIRE(inferred.counters.without_status == 1);
    const std::uint32_t nat_bits = kStatusSrcNat | kStatusDstNat;
    CHECK(inferred.event.status == (decode_copy(message.bytes).event.status & nat_bits));
  }
}

TEST_CASE("the corpus has every protocol, both families and all kinds of message", "[conntrack][decoder]") {
  std::set<int> protocols_v4;
  std::set<int> protocols_v6;
  std::set<EventType> types;
  std::set<std::uint16_t> zones;
  std::set<TcpState> states;
  bool stamped = false, counted = false, marked = false, both_nats = false, plain = false;
  for (const CorpusMessage& message : read_corpus(NATSESSION_DECODER_CORPUS)) {
    const ConntrackEvent event = decode_copy(message.bytes).event;
    (event.original.src.is_v4() ? protocols_v4 : protocols_v6).insert(event.protocol);
    types.insert(event.type);
    zones.insert(event.zone);
    states.insert(event.tcp_state);
    stamped = stamped || (event.start && event.stop && event.event);
    counted = counted || (event.original_counters && event.reply_counters->bytes > 0);
    marked = marked || event.mark == 0xdeadbeef;
    const std::uint32_t nat = event.status & (kStatusSrcNat | kStatusDstNat);
    both_nats = both_nats || nat == (kStatusSrcNat | kStatusDstNat);
    plain = plain || nat == 0;
  }
  CHECK(protocols_v4 == std::set<int>{1, 6, 17, 33, 47, 132, 136, 253});
  CHECK(protocols_v6 == std::set<int>{58, 6, 17, 33, 47, 132, 136, 253});
  CHECK(types.size() == 3);
  CHECK(zones == std::set<std::uint16_t>{0, 5, 7});
  CHECK(states.size() >= 7);
  CHECK(stamped);
  CHECK(counted);
  CHECK(marked);
  CHECK(both_nats);
  CHECK(plain);
}

}  // namespace natsession::testing
