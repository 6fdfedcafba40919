#include "bench/cgnat_day.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <vector>

namespace natsession::bench {
namespace {

constexpr std::uint32_t kDayMs = 24 * 3600 * 1000;
constexpr std::uint32_t kMaxRemovalMs = 2000;  // from the timeout to when the kernel takes the flow out

// Sessions begun in an hour, at its beginning; straight between.
constexpr std::array<double, 24> kDayCurve = {0.66, 0.48, 0.36, 0.28, 0.25, 0.27, 0.35, 0.48,
                                              0.60, 0.68, 0.72, 0.75, 0.78, 0.78, 0.76, 0.76,
                                              0.78, 0.82, 0.88, 0.94, 0.98, 1.00, 0.95, 0.82};

struct Host {
  std::uint32_t address = 0;  // in network byte order
  std::uint32_t nat_address = 0;
  std::uint16_t low_port = 0;
  std::uint16_t high_port = 0;
};

// Times in ms since midnight.
struct Session {
  Traffic traffic;
  std::uint32_t start = 0;
  std::uint32_t end = 0;
  std::uint32_t destination = 0;
  std::uint32_t host = 0;
  std::uint32_t seq = 0;
  std::uint16_t pri_port = 0;
  std::uint16_t nat_port = 0;
};

std::vector<Host> make_hosts(const CgnatOptions& options, Chance& chance) {
  static constexpr std::uint32_t kNetwork = 0x6440'0000;  // 100.64.0.0
  static constexpr std::uint32_t kPool = 0xcb00'7100;     // 203.0.113.0
  std::vector<std::uint32_t> places(32'768);
  for (std::uint32_t i = 0; i < places.size(); ++i) places[i] = i;
  std::vector<Host> hosts;
  for (std::uint32_t i = 0; i < options.hosts; ++i) {
    std::swap(places[i], places[i + chance.below(static_cast<std::uint32_t>(places.size()) - i)]);
    Host host;
    host.address = htonl(kNetwork + places[i]);
    host.nat_address = htonl(kPool + chance.below(options.nat_addresses));
    const std::uint32_t system = chance.below(100);
    host.low_port = system < 55 ? 32'768 : system < 93 ? 49'152 : 1024;
    host.high_port = system < 55 ? 60'999 : 65'535;
    hosts.push_back(host);
  }
  return hosts;
}

std::vector<double> lognormal_weights(std::uint32_t count, Chance& chance) {
  std::vector<double> weights;
  for (std::uint32_t i = 0; i < count; ++i) weights.push_back(chance.lognormal(1.0, 1.2));
  return weights;
}

std::vector<double> zipf_weights(std::uint32_t count) {
  std::vector<double> weights;
  for (std::uint32_t i = 0; i < count; ++i) weights.push_back(1.0 / (i + 1.0));
  return weights;
}

}  // namespace

struct CgnatDay::State {
  explicit State(const CgnatOptions& wanted)
      : options(wanted),
        chance(wanted.seed),
        hosts(make_hosts(wanted, chance)),
        host_choice(lognormal_weights(wanted.hosts, chance)),
        destinations(make_destinations(wanted.destinations, chance)),
        destination_choice(zipf_weights(wanted.destinations)),
        window_ms(static_cast<std::uint32_t>(wanted.window.count())) {}

  void begin_window();
  Session begin_session();
  void sort_by_end();
  void close_window();
  SessionRecord slice(const Session& session, std::uint32_t until) const;
  [[nodiscard]] double begun_until(std::uint32_t ms) const;

  CgnatOptions options;
  Chance chance;
  std::vector<Host> hosts;
  WeightedChoice host_choice;
  std::vector<Destination> destinations;
  WeightedChoice destination_choice;
  std::uint32_t window_ms;
  Origin origin{"cgnat-1", ""};

  std::uint32_t window_begin = 0;
  std::uint32_t window_end = 0;  // 0 before the first
  std::uint64_t begun = 0;
  std::vector<Session> alive;        // in this window, ended or not
  std::vector<std::uint32_t> order;  // of those that end in it
  std::vector<std::uint32_t> counters;
  std::vector<Session> carried;  // those that go on, in the order of their interim records
  std::size_t ends_given = 0;
  std::size_t interims_given = 0;
};

double CgnatDay::State::begun_until(std::uint32_t ms) const {
  double sum = 0;
  double total = 0;
  for (std::uint32_t hour = 0; hour < 24; ++hour) {
    const double from = kDayCurve[hour];
    const double to = kDayCurve[(hour + 1) % 24];
    const double part = std::clamp((ms - hour * 3'600'000.0) / 3'600'000.0, 0.0, 1.0);
    sum += from * part + (to - from) * part * part / 2;
    total += (from + to) / 2;
  }
  return sum / total;
}

Session CgnatDay::State::begin_session() {
  Session session;
  session.start = window_begin + chance.below(window_ms);
  session.host = host_choice.draw(chance);
  session.destination = destination_choice.draw(chance);
  session.traffic = make_traffic(destinations[session.destination], chance);
  session.end =
      session.start + session.traffic.active_ms + session.traffic.timeout_ms + chance.below(kMaxRemovalMs);
  const Host& host = hosts[session.host];
  session.pri_port = static_cast<std::uint16_t>(chance.between(host.low_port, host.high_port));
  session.nat_port = chance.percent(options.kept_ports_percent)
                         ? session.pri_port
                         : static_cast<std::uint16_t>(chance.between(1024, 65'535));
  return session;
}

// By counting: two passes, however many there are.
void CgnatDay::State::sort_by_end() {
  counters.assign(window_ms + 1, 0);
  for (const Session& session : alive) {
    if (session.end < window_end) ++counters[session.end - window_begin + 1];
  }
  for (std::uint32_t i = 1; i <= window_ms; ++i) counters[i] += counters[i - 1];
  order.resize(counters[window_ms]);
  for (std::uint32_t i = 0; i < alive.size(); ++i) {
    if (alive[i].end < window_end) order[counters[alive[i].end - window_begin]++] = i;
  }
}

void CgnatDay::State::begin_window() {
  window_begin = window_end;
  window_end = window_begin + window_ms;
  alive.swap(carried);
  const auto wanted =
      static_cast<std::uint64_t>(begun_until(window_end) * static_cast<double>(options.sessions) + 0.5);
  for (; begun < wanted; ++begun) alive.push_back(begin_session());
  sort_by_end();
  carried.clear();
  for (const Session& session : alive) {
    if (session.end >= window_end) carried.push_back(session);
  }
  for (std::uint32_t left = static_cast<std::uint32_t>(carried.size()); left > 1; --left) {
    std::swap(carried[left - 1], carried[chance.below(left)]);
  }
  ends_given = interims_given = 0;
}

// What the session did in this window, until then. Its packets are spread evenly over its activity.
SessionRecord CgnatDay::State::slice(const Session& session, std::uint32_t until) const {
  const Traffic& traffic = session.traffic;
  const std::uint32_t from = std::max(session.start, window_begin);
  // The session begins with its first packet.
  const auto seen = [&](std::uint32_t total, std::uint32_t first, std::uint32_t time) {
    const std::uint64_t active = traffic.active_ms;
    const std::uint64_t passed = time - session.start;
    if (passed > active || (passed == active && time == until)) return total;
    if (time == session.start) return std::uint32_t{0};
    return first + static_cast<std::uint32_t>((total - first) * passed / active);
  };
  const auto bytes = [](std::uint64_t all, std::uint32_t packets, std::uint32_t total) {
    return packets == total ? all : static_cast<std::uint64_t>(static_cast<double>(all) * packets / total);
  };
  const auto count = [&](std::uint32_t packets, std::uint32_t first, std::uint64_t all, Count& packets_out,
                         Count& bytes_out) {
    const std::uint32_t before = seen(packets, first, from);
    const std::uint32_t now = seen(packets, first, until);
    packets_out = Count(now - before);
    bytes_out = Count(bytes(all, now, packets) - bytes(all, before, packets));
  };
  const Host& host = hosts[session.host];
  SessionRecord record;
  record.origin = &origin;
  record.protocol = traffic.protocol;
  record.pri_ip = IpAddress::from_v4(host.address);
  record.nat_ip = IpAddress::from_v4(host.nat_address);
  record.pub_ip = IpAddress::from_v4(htonl(destinations[session.destination].address));
  record.pri_port = session.pri_port;
  record.nat_port = session.nat_port;
  record.pub_port = traffic.pub_port;
  count(traffic.pkts_from_vpc, 1, traffic.bytes_from_vpc, record.pkts_from_vpc, record.bytes_from_vpc);
  count(traffic.pkts_from_pub, 0, traffic.bytes_from_pub, record.pkts_from_pub, record.bytes_from_pub);
  record.start_time = options.midnight + std::chrono::milliseconds(from);
  record.end_time = options.midnight + std::chrono::milliseconds(until);
  record.session_start = options.midnight + std::chrono::milliseconds(session.start);
  record.seq = session.seq;
  const bool ended = until == session.end;
  record.event = ended ? RecordEvent::kEnd : RecordEvent::kInterim;
  record.reason = ended ? RecordReason::kDestroyed : RecordReason::kNone;
  record.tcp_state = traffic.state;
  if (traffic.state != TcpState::kNone && traffic.state != TcpState::kSynSent &&
      until < session.start + traffic.active_ms) {
    record.tcp_state = TcpState::kEstablished;
  }
  record.session_id = derive_session_id(record);
  return record;
}

CgnatDay::CgnatDay(const CgnatOptions& options) : state_(std::make_unique<State>(options)) {}
CgnatDay::~CgnatDay() = default;

std::uint64_t CgnatDay::sessions_begun() const {
  return state_->begun;
}

std::size_t CgnatDay::next(std::span<SessionRecord> out) {
  State& day = *state_;
  std::size_t count = 0;
  while (count < out.size()) {
    if (day.window_end != 0 && day.ends_given < day.order.size()) {
      constexpr std::size_t kAhead = 8;  // the sessions lie all over the memory
      if (day.ends_given + kAhead < day.order.size()) {
        const Session* const soon = &day.alive[day.order[day.ends_given + kAhead]];
        __builtin_prefetch(soon);
        __builtin_prefetch(reinterpret_cast<const char*>(soon) + 64);
      }
      const Session& session = day.alive[day.order[day.ends_given++]];
      out[count++] = day.slice(session, session.end);
    } else if (day.window_end != 0 && day.interims_given < day.carried.size()) {
      Session& session = day.carried[day.interims_given++];
      const SessionRecord record = day.slice(session, day.window_end);
      if (record.pkts_from_vpc == Count(0) && record.pkts_from_pub == Count(0)) continue;  // idle
      ++session.seq;
      out[count++] = record;
    } else if (day.window_end < kDayMs) {
      day.begin_window();
    } else {
      break;
    }
  }
  return count;
}

}  // namespace natsession::bench
