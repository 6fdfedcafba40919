#include "nflog/refused_packet.h"

#include <catch2/catch.hpp>

#include "nflog/refused_fixture.h"

namespace natsession::testing {
namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

Packet v4_syn() {
  return v4_packet("198.51.100.7", "203.0.113.1", kTcp, segment(40000, 443));
}
Packet v6_syn(std::uint8_t next = kTcp, const Packet& behind = segment(40000, 443)) {
  return v6_packet("2001:db8::7", "2001:db8:1::1", next, behind);
}

}  // namespace

TEST_CASE("a refused IPv4 packet is told with its tuple, flags and whole length", "[nflog][decoder]") {
  Packet packet = v4_packet("198.51.100.7", "203.0.113.1", kTcp, segment(40000, 443, 0x12));
  put16(packet, 2, 1500);
  const RefusedPacket decoded = decoded_packet(packet);
  CHECK(decoded.src.to_string() == "198.51.100.7");
  CHECK(decoded.dst.to_string() == "203.0.113.1");
  CHECK(decoded.src_port == 40000);
  CHECK(decoded.dst_port == 443);
  CHECK(decoded.protocol == kTcp);
  CHECK(decoded.tcp_flags == 0x12);
  CHECK(decoded.length == 1500);
  CHECK(decoded.group == 100);
  CHECK_FALSE(decoded.has_sequence);
  CHECK(decoded.time == UnixNs{});
}

TEST_CASE("a refused IPv6 packet is told with its tuple, flags and whole length", "[nflog][decoder]") {
  Packet packet = v6_syn();
  put16(packet, 4, 1400);
  const RefusedPacket decoded = decoded_packet(packet);
  CHECK(decoded.src.to_string() == "2001:db8::7");
  CHECK(decoded.dst.to_string() == "2001:db8:1::1");
  CHECK(decoded.src_port == 40000);
  CHECK(decoded.dst_port == 443);
  CHECK(decoded.tcp_flags == 0x02);
  CHECK(decoded.length == 1440);
}

TEST_CASE("the protocols with ports have them, others have none", "[nflog][decoder]") {
  for (const int protocol : {6, 17, 33, 132, 136}) {
    CAPTURE(protocol);
    const auto number = static_cast<std::uint8_t>(protocol);
    CHECK(decoded_packet(v4_packet("10.0.0.1", "10.0.0.2", number, segment(7, 9))).dst_port == 9);
    CHECK(decoded_packet(v6_syn(number, segment(7, 9))).src_port == 7);
    CHECK(decoded_packet(v6_syn(number)).tcp_flags == (protocol == 6 ? 2 : 0));
  }
  for (const int protocol : {1, 47, 50, 58, 99}) {
    CAPTURE(protocol);
    const RefusedPacket decoded =
        decoded_packet(v4_packet("10.0.0.1", "10.0.0.2", static_cast<std::uint8_t>(protocol), segment(7, 9)));
    CHECK(decoded.src_port == 0);
    CHECK(decoded.dst_port == 0);
    CHECK(decoded.protocol == protocol);
    CHECK(decoded.tcp_flags == 0);
  }
}

TEST_CASE("IPv4 options are passed over, and what they push out of the copy is 0", "[nflog][decoder]") {
  const auto with_options = [](std::size_t words) {
    return decoded_packet(v4_packet("10.0.0.1", "10.0.0.2", kTcp, segment(7, 9, 0x3f), words));
  };
  CHECK(with_options(7).tcp_flags == 0x3f);
  CHECK(with_options(8).dst_port == 9);
  CHECK(with_options(8).tcp_flags == 0);
  CHECK(with_options(10).dst_port == 9);  // just: 60 bytes of header and 4 of ports
}

TEST_CASE("only the first fragment has ports", "[nflog][decoder]") {
  Packet v4 = v4_packet("10.0.0.1", "10.0.0.2", kUdp, segment(7, 9));
  put16(v4, 6, 0x2000);  // more fragments follow
  CHECK(decoded_packet(v4).dst_port == 9);
  put16(v4, 6, 0x2001);
  CHECK(decoded_packet(v4).dst_port == 0);
  CHECK(decoded_packet(v4).protocol == kUdp);

  Packet fragment(8);
  fragment[0] = kUdp;
  const Packet ports = segment(7, 9);
  fragment.insert(fragment.end(), ports.begin(), ports.end());
  put16(fragment, 2, 0x0001);
  CHECK(decoded_packet(v6_syn(44, fragment)).dst_port == 9);
  put16(fragment, 2, 0x0009);
  const RefusedPacket later = decoded_packet(v6_syn(44, fragment));
  CHECK(later.dst_port == 0);
  CHECK(later.protocol == kUdp);
}

TEST_CASE("IPv6 extension headers are walked as far as the copy goes", "[nflog][decoder]") {
  CHECK(decoded_packet(v6_syn(0, extended(kTcp, segment(7, 9)))).dst_port == 9);
  CHECK(decoded_packet(v6_syn(0, extended(60, extended(kUdp, segment(7, 9))))).dst_port == 9);
  CHECK(decoded_packet(v6_syn(43, extended(kUdp, segment(7, 9)))).protocol == kUdp);
  Packet authentication(12);
  authentication[0] = kUdp;
  authentication[1] = 1;  // in units of 4 bytes, less 2
  const Packet ports = segment(7, 9);
  authentication.insert(authentication.end(), ports.begin(), ports.end());
  CHECK(decoded_packet(v6_syn(51, authentication)).dst_port == 9);
  // 64 bytes hold the header and 24 more: the ports would be in the fourth part.
  const RefusedPacket far =
      decoded_packet(v6_syn(0, extended(60, extended(43, extended(kUdp, segment(7, 9))))));
  CHECK(far.dst_port == 0);
  CHECK(far.protocol == kUdp);
  const RefusedPacket beyond = decoded_packet(v6_syn(0, extended(kUdp, segment(7, 9), 9)));
  CHECK(beyond.dst_port == 0);
  CHECK(beyond.protocol == 0);
}

TEST_CASE("jumbograms have the length that they tell", "[nflog][decoder]") {
  Packet options(8);
  options[0] = kTcp;
  options[2] = 0xc2;
  options[3] = 4;
  options[5] = 0x02;  // 0x00020000
  const Packet ports = segment(7, 9);
  options.insert(options.end(), ports.begin(), ports.end());
  Packet packet = v6_syn(0, options);
  put16(packet, 4, 0);
  CHECK(decoded_packet(packet).length == 0x20000 + 40);
  CHECK(decoded_packet(packet).dst_port == 9);
  // With a length of its own the option is another's.
  put16(packet, 4, options.size());
  CHECK(decoded_packet(packet).length == packet.size());
  // IPv4's total of 0: the copy is all that is known.
  Packet v4 = v4_syn();
  put16(v4, 2, 0);
  CHECK(decoded_packet(v4).length == 40);
  CHECK(decoded_packet(v4).dst_port == 443);
}

TEST_CASE("what stands behind the end of a packet is no part of it", "[nflog][decoder]") {
  Packet v4 = v4_syn();
  put16(v4, 2, 22);
  CHECK(decoded_packet(v4).src_port == 0);
  CHECK(decoded_packet(v4).length == 22);
  Packet v6 = v6_syn();
  put16(v6, 4, 3);
  CHECK(decoded_packet(v6).src_port == 0);
}

TEST_CASE("the hook says direction and interface", "[nflog][decoder]") {
  const auto refused_at = [](Hook hook) { return decode_at(hook, v4_syn()).packet; };
  for (const Hook hook : {kPrerouting, kInput, kForward, kIngress}) {
    CAPTURE(hook);
    CHECK_FALSE(refused_at(hook).egress);
    CHECK(refused_at(hook).interface() == 2);
    CHECK(refused_at(hook).hook == hook);
  }
  for (const Hook hook : {kOutput, kPostrouting}) {
    CAPTURE(hook);
    CHECK(refused_at(hook).egress);
    CHECK(refused_at(hook).interface() == 3);
  }
}

TEST_CASE("a bridge's port is told beside the bridge", "[nflog][decoder]") {
  NlMessageBuilder builder = nflog_message(kBridge, kForward, ETH_P_IP);
  builder.be32(NFULA_IFINDEX_PHYSINDEV, 12).be32(NFULA_IFINDEX_INDEV, 2);
  builder.be32(NFULA_IFINDEX_PHYSOUTDEV, 13).be32(NFULA_IFINDEX_OUTDEV, 2).be32(NFULA_MARK, 77);
  const auto decoded = decode_refusal(behind_header(with_packet(builder, v4_syn())));
  REQUIRE(decoded.kind == RefusedKind::kPacket);
  CHECK(decoded.packet.in_interface == 2);
  CHECK(decoded.packet.in_port == 12);
  CHECK(decoded.packet.out_port == 13);
  CHECK(decoded.packet.mark == 77);
}

TEST_CASE("a frame at a device is read behind its tags and its own header", "[nflog][decoder]") {
  const auto at_device = [](std::uint8_t hook, std::uint16_t ether_type, const Packet& packet) {
    NlMessageBuilder builder = nflog_message(kNetdev, hook, ether_type);
    builder.be32(hook == 0 ? NFULA_IFINDEX_INDEV : NFULA_IFINDEX_OUTDEV, 4);
    return decode_refusal(behind_header(with_packet(builder, packet)));
  };
  const auto behind = [](Packet front, const Packet& packet) {
    front.insert(front.end(), packet.begin(), packet.end());
    return front;
  };
  CHECK(at_device(0, ETH_P_IP, v4_syn()).packet.dst_port == 443);
  CHECK(at_device(0, ETH_P_IPV6, v6_syn()).packet.dst_port == 443);
  CHECK(at_device(0, ETH_P_8021Q, behind({0, 5, 0x08, 0}, v4_syn())).packet.dst_port == 443);
  const Packet twice = behind({0, 9, 0x81, 0, 0, 5, 0x86, 0xdd}, v6_syn());
  CHECK(at_device(0, ETH_P_8021AD, twice).packet.dst_port == 443);
  CHECK(at_device(0, ETH_P_8021Q, {0, 5, 0x08}).kind == RefusedKind::kMalformed);

  const Packet frame = behind({1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7, 0x08, 0}, v4_syn());
  const auto leaving = at_device(1, ETH_P_IP, frame);
  CHECK(leaving.kind == RefusedKind::kPacket);
  CHECK(leaving.packet.egress);
  CHECK(leaving.packet.interface() == 4);
  CHECK(leaving.packet.dst_port == 443);
  CHECK(at_device(1, ETH_P_IP, v4_syn()).packet.dst_port == 443);  // a device without such headers
}

TEST_CASE("what is no IP is told apart from what is malformed", "[nflog][decoder]") {
  NlMessageBuilder arp = nflog_message(kArp, 0, ETH_P_ARP);
  CHECK(decode_refusal(behind_header(with_packet(arp, Packet(28)))).kind == RefusedKind::kNotIp);
  CHECK(decode_at(1, {}).kind == RefusedKind::kMalformed);
  NlMessageBuilder headless(NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET, 0, AF_INET);
  CHECK(decode_refusal(behind_header(with_packet(headless, v4_syn()))).kind == RefusedKind::kMalformed);
  Packet version = v4_syn();
  version[0] = 0x55;
  CHECK(decode_at(1, version).kind == RefusedKind::kMalformed);
  Packet header = v4_syn();
  header[0] = 0x44;
  CHECK(decode_at(1, header).kind == RefusedKind::kMalformed);
  Packet total = v4_syn();
  put16(total, 2, 19);
  CHECK(decode_at(1, total).kind == RefusedKind::kMalformed);
}

TEST_CASE("time and sequence are the kernel's; what is no time is none", "[nflog][decoder]") {
  const auto at = [](std::uint64_t seconds, std::uint64_t microseconds) {
    NlMessageBuilder builder = nflog_message(AF_INET, 1, ETH_P_IP);
    const std::array time{htobe64(seconds), htobe64(microseconds)};
    builder.attribute(NFULA_TIMESTAMP, std::as_bytes(std::span(time))).be32(NFULA_SEQ, 0xffff'fffe);
    return decode_refusal(behind_header(with_packet(builder, v4_syn()))).packet;
  };
  CHECK(at(1'790'000'000, 250'000).time == UnixNs(std::chrono::microseconds(1'790'000'000'250'000)));
  CHECK(at(1'790'000'000, 1'000'000).time == UnixNs{});
  CHECK(at(~std::uint64_t{0}, 0).time == UnixNs{});
  CHECK(at(1, 0).has_sequence);
  CHECK(at(1, 0).sequence == 0xffff'fffe);
}

TEST_CASE("no cut and no wrong length of a message makes the decoder read outside of it",
          "[nflog][decoder]") {
  NlMessageBuilder builder = nflog_message(AF_INET6, 1, ETH_P_IPV6);
  const std::array time{htobe64(1'790'000'000), htobe64(5)};
  builder.attribute(NFULA_TIMESTAMP, std::as_bytes(std::span(time))).be32(NFULA_SEQ, 5).be32(NFULA_MARK, 1);
  const auto whole =
      behind_header(with_packet(builder, v6_syn(0, extended(44, extended(kTcp, segment(1, 2))))));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(decode_refusal(std::span(whole).first(length)).kind == RefusedKind::kMalformed);
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int value : {0, 1, 3, 0x7f, 0xff}) {
      auto changed = whole;
      changed[at] = std::byte(value);
      (void)decode_refusal(changed);
    }
  }
}

TEST_CASE("a flow log's TCP flags are those of the documents", "[nflog]") {
  CHECK(flow_log_flags(0x02) == 2);
  CHECK(flow_log_flags(0x12) == 18);
  CHECK(flow_log_flags(0x10) == 0);
  CHECK(flow_log_flags(0x11) == 1);
  CHECK(flow_log_flags(0x14) == 4);
  CHECK(flow_log_flags(0xff) == (1 | 2 | 4 | 8 | 16 | 32));
}

}  // namespace natsession::testing
