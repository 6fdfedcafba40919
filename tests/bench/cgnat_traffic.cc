#include <algorithm>
#include <array>

#include "bench/cgnat_day.h"

namespace natsession::bench {
namespace {

constexpr std::uint8_t kIcmpProtocol = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr double kMaxPayload = 4e9;
constexpr double kMaxActiveMs = 20 * 3600e3;

std::uint64_t whole(double value) {
  return static_cast<std::uint64_t>(std::max(0.0, value));
}
std::uint32_t ms(double value) {
  return static_cast<std::uint32_t>(std::clamp(value, 0.0, kMaxActiveMs));
}

// An IPv4 address that is routed on the Internet, as a number.
std::uint32_t public_address(Chance& chance) {
  for (;;) {
    const auto address = static_cast<std::uint32_t>(chance.bits());
    const std::uint32_t first = address >> 24;
    const std::uint32_t second = (address >> 16) & 0xff;
    if (first == 0 || first == 10 || first == 127 || first >= 224) continue;
    if (first == 100 && second >= 64 && second < 128) continue;
    if ((first == 169 && second == 254) || (first == 172 && second >= 16 && second < 32)) continue;
    if (first == 192 && second == 168) continue;
    return address;
  }
}

Role role_of(std::uint32_t rank, Chance& chance) {
  for (const std::uint32_t resolver : {0U, 2U, 7U, 8U}) {
    if (rank == resolver) return Role::kDns;
  }
  if (rank < 10) return Role::kWeb;
  const std::uint32_t drawn = chance.below(1000);
  if (drawn < 800) return Role::kWeb;
  if (drawn < 820) return Role::kDns;
  if (drawn < 870) return Role::kOtherTcp;
  if (drawn < 935) return Role::kOtherUdp;
  if (drawn < 990) return Role::kPeer;
  return Role::kIcmp;
}

std::uint16_t port_of(Role role, Chance& chance) {
  static constexpr std::array<std::uint16_t, 8> kTcpPorts = {5228, 993, 5223, 8080, 8443, 22, 25, 1935};
  static constexpr std::array<std::uint16_t, 6> kUdpPorts = {123, 3478, 4500, 51820, 27015, 19302};
  switch (role) {
    case Role::kWeb:
      return 443;
    case Role::kDns:
      return 53;
    case Role::kOtherTcp:
      return kTcpPorts[chance.below(kTcpPorts.size())];
    case Role::kOtherUdp:
      return chance.percent(80) ? kUdpPorts[chance.below(kUdpPorts.size())]
                                : static_cast<std::uint16_t>(chance.between(1024, 65535));
    case Role::kPeer:
      return static_cast<std::uint16_t>(chance.between(1024, 65535));
    case Role::kIcmp:
      break;
  }
  return 8 * 256;  // echo request: type * 256 + code
}

struct Payload {
  double down;
  double up;
};

// Packets and bytes of a transfer in segments of at most `segment`, with `header` bytes each.
void fill_transfer(Payload payload, double segment, double header, double acks, Chance& chance,
                   Traffic& out) {
  const double data_down = std::ceil(payload.down / segment) + chance.between(1, 4);
  const double data_up = std::ceil(payload.up / segment) + chance.between(0, 3);
  const double lost = chance.percent(15) ? data_down * 0.02 * chance.uniform() : 0;
  const double from_pub = data_down + lost + std::floor(data_up * 0.6);
  const double from_vpc = data_up + std::floor(data_down * acks * (0.8 + 0.5 * chance.uniform()));
  out.pkts_from_pub = static_cast<std::uint32_t>(from_pub) + 1;
  out.pkts_from_vpc = static_cast<std::uint32_t>(from_vpc) + 2;
  out.bytes_from_pub = whole(payload.down * (1 + lost / data_down)) + whole(header) * out.pkts_from_pub;
  out.bytes_from_vpc = whole(payload.up) + whole(header) * out.pkts_from_vpc;
}

Payload web_payload(Chance& chance) {
  Payload payload{chance.lognormal(5500, 1.9), chance.lognormal(1500, 0.9)};
  if (chance.percent(4)) payload.down = chance.pareto(200e3, 1.15, kMaxPayload);
  if (chance.percent(3)) payload.up = chance.pareto(50e3, 1.15, kMaxPayload);
  return payload;
}

void close_tcp(Chance& chance, Traffic& out) {
  const std::uint32_t drawn = chance.below(100);
  out.state = drawn < 74   ? TcpState::kTimeWait
              : drawn < 96 ? TcpState::kClose
              : drawn < 98 ? TcpState::kLastAck
              : drawn < 99 ? TcpState::kFinWait
                           : TcpState::kCloseWait;
  out.timeout_ms = out.state == TcpState::kClose       ? 10'000
                   : out.state == TcpState::kLastAck   ? 30'000
                   : out.state == TcpState::kCloseWait ? 60'000
                                                       : 120'000;
}

double tcp_active(const Traffic& traffic, Chance& chance) {
  const double size = std::pow((traffic.pkts_from_pub + 10.0) / 20.0, 0.25);
  double active = chance.lognormal(2500, 1.6) * size + 20;
  if (chance.percent(20))
    active += chance.between(5, 75) * 1000.0 + chance.below(400);  // kept alive, then closed
  return active;
}

Traffic unanswered_tcp(Chance& chance) {
  Traffic out;
  out.pkts_from_vpc = chance.between(1, 6);
  out.bytes_from_vpc = 60ULL * out.pkts_from_vpc;
  out.active_ms = ms(1000.0 * ((1U << (out.pkts_from_vpc - 1)) - 1) + chance.below(30));
  out.state = TcpState::kSynSent;
  out.timeout_ms = 120'000;
  if (chance.percent(30)) {  // refused
    out.pkts_from_pub = out.pkts_from_vpc = 1;
    out.bytes_from_vpc = 60;
    out.bytes_from_pub = 40;
    out.active_ms = chance.between(5, 250);
    out.state = TcpState::kClose;
    out.timeout_ms = 10'000;
  }
  return out;
}

Traffic tcp_transfer(Payload payload, Chance& chance) {
  static constexpr std::array<double, 5> kSegments = {1448, 1460, 1400, 1380, 1436};
  Traffic out;
  const double header = chance.percent(60) ? 52 : 40;
  fill_transfer(payload, kSegments[chance.below(kSegments.size())], header, 0.5, chance, out);
  out.pkts_from_vpc += chance.between(1, 2);
  out.bytes_from_vpc += whole(header) * 2 + 8;  // the options of SYN
  out.bytes_from_pub += 8;
  out.active_ms = ms(tcp_active(out, chance));
  close_tcp(chance, out);
  return out;
}

Traffic quic_transfer(Chance& chance) {
  Traffic out;
  Payload payload = web_payload(chance);
  payload.down += 3600;  // the handshake, padded
  payload.up += 2400;
  fill_transfer(payload, chance.percent(50) ? 1250 : 1322, 28, 0.35, chance, out);
  out.active_ms = ms(tcp_active(out, chance));
  out.timeout_ms = 120'000;
  return out;
}

Traffic dns_query(Chance& chance) {
  Traffic out;
  const std::uint32_t query = 28 + 12 + 5 + chance.between(6, 30) + (chance.percent(50) ? 11 : 0);
  const auto reply = query + static_cast<std::uint32_t>(std::min(1200.0, chance.lognormal(70, 0.8)));
  out.pkts_from_vpc = chance.percent(95) ? 1 : chance.between(2, 3);
  out.pkts_from_pub = chance.percent(98) ? (chance.percent(97) ? 1 : out.pkts_from_vpc) : 0;
  out.bytes_from_vpc = std::uint64_t{query} * out.pkts_from_vpc;
  out.bytes_from_pub = std::uint64_t{reply} * out.pkts_from_pub;
  out.active_ms = ms(chance.lognormal(18, 0.9)) + (out.pkts_from_vpc - 1) * 5000;
  out.timeout_ms = 30'000;
  return out;
}

Traffic datagrams(Chance& chance) {
  Traffic out;
  const double up = chance.lognormal(30, 1.9);
  out.pkts_from_vpc = static_cast<std::uint32_t>(std::min(5e7, up)) + 1;
  out.pkts_from_pub = static_cast<std::uint32_t>(std::min(5e7, up * chance.lognormal(1.0, 0.5)));
  out.bytes_from_vpc = whole(out.pkts_from_vpc * chance.lognormal(130, 0.6)) + 28ULL * out.pkts_from_vpc;
  out.bytes_from_pub = whole(out.pkts_from_pub * chance.lognormal(200, 0.7)) + 28ULL * out.pkts_from_pub;
  out.active_ms = ms(chance.lognormal(500, 0.7) * std::pow(up, 0.9));
  out.timeout_ms = out.pkts_from_vpc + out.pkts_from_pub > 3 && out.pkts_from_pub > 0 ? 120'000 : 30'000;
  return out;
}

Traffic peer_datagrams(Chance& chance) {
  Traffic out;
  out.pkts_from_vpc = chance.between(1, 3);
  out.pkts_from_pub = chance.percent(45) ? chance.between(1, out.pkts_from_vpc) : 0;
  out.bytes_from_vpc = std::uint64_t{out.pkts_from_vpc} * chance.between(58, 160);
  out.bytes_from_pub = std::uint64_t{out.pkts_from_pub} * chance.between(58, 420);
  out.active_ms = (out.pkts_from_vpc - 1) * chance.between(900, 4000) + chance.below(300);
  out.timeout_ms = out.pkts_from_vpc > 2 && out.pkts_from_pub > 0 ? 120'000 : 30'000;
  return out;
}

Traffic echo(Chance& chance) {
  Traffic out;
  out.pkts_from_vpc = chance.between(1, 10);
  out.pkts_from_pub = chance.percent(80) ? out.pkts_from_vpc : 0;
  const std::uint64_t size = chance.percent(70) ? 84 : 60;
  out.bytes_from_vpc = size * out.pkts_from_vpc;
  out.bytes_from_pub = size * out.pkts_from_pub;
  out.active_ms = (out.pkts_from_vpc - 1) * 1000 + chance.between(2, 250);
  out.timeout_ms = 30'000;
  return out;
}

Traffic ntp(Chance& chance) {
  Traffic out;
  out.pkts_from_vpc = out.pkts_from_pub = 1;
  out.bytes_from_vpc = out.bytes_from_pub = 76;
  out.active_ms = chance.between(5, 200);
  out.timeout_ms = 30'000;
  return out;
}

// A connection that waits for messages: long, and little in it.
Traffic push(Chance& chance) {
  Traffic out = tcp_transfer({chance.lognormal(4000, 1.2), chance.lognormal(2000, 1.0)}, chance);
  out.active_ms = ms(chance.lognormal(8 * 60e3, 1.5));
  const std::uint32_t kept_alive = out.active_ms / 240'000;
  out.pkts_from_vpc += 2 * kept_alive;
  out.pkts_from_pub += 2 * kept_alive;
  out.bytes_from_vpc += 133ULL * kept_alive;
  out.bytes_from_pub += 133ULL * kept_alive;
  return out;
}

}  // namespace

std::vector<Destination> make_destinations(std::uint32_t count, Chance& chance) {
  std::vector<Destination> destinations;
  for (std::uint32_t rank = 0; rank < count; ++rank) {
    Destination destination;
    destination.address = public_address(chance);
    destination.role = role_of(rank, chance);
    destination.port = port_of(destination.role, chance);
    destination.quic = chance.percent(45);
    destinations.push_back(destination);
  }
  return destinations;
}

Traffic make_traffic(const Destination& destination, Chance& chance) {
  const auto of = [&](std::uint8_t protocol, std::uint16_t port, Traffic traffic) {
    traffic.protocol = protocol;
    traffic.pub_port = port;
    return traffic;
  };
  switch (destination.role) {
    case Role::kWeb: {
      if (destination.quic && chance.percent(60)) return of(kUdp, 443, quic_transfer(chance));
      const std::uint16_t port = chance.percent(9) ? 80 : 443;
      return of(kTcp, port,
                chance.percent(4) ? unanswered_tcp(chance) : tcp_transfer(web_payload(chance), chance));
    }
    case Role::kDns:
      if (chance.percent(2)) return of(kTcp, chance.percent(50) ? 53 : 853, tcp_transfer({600, 300}, chance));
      return of(kUdp, 53, dns_query(chance));
    case Role::kOtherTcp:
      if (chance.percent(8)) return of(kTcp, destination.port, unanswered_tcp(chance));
      return of(kTcp, destination.port, push(chance));
    case Role::kOtherUdp:
      return of(kUdp, destination.port, destination.port == 123 ? ntp(chance) : datagrams(chance));
    case Role::kPeer:
      if (chance.percent(70)) return of(kUdp, destination.port, peer_datagrams(chance));
      if (chance.percent(50)) return of(kTcp, destination.port, unanswered_tcp(chance));
      return of(kTcp, destination.port,
                tcp_transfer({chance.lognormal(40e3, 2.2), chance.lognormal(40e3, 2.2)}, chance));
    case Role::kIcmp:
      break;
  }
  return of(kIcmpProtocol, destination.port, echo(chance));
}

}  // namespace natsession::bench
