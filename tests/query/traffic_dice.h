// Random but likely traffic for tests of queries.
#pragma once

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "record/session_record.h"
#include "support/session_between.h"

namespace natsession::testing {

inline constexpr std::int64_t kDayBegin = 1'795'219'200'000;  // 2026-11-21, UTC

inline UnixMs at_ms(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}
inline UnixMs at_minute(std::int64_t minute) {
  return at_ms(kDayBegin + minute * 60'000);
}

inline Prefix prefix(const std::string& text) {
  const auto parsed = Prefix::parse(text);
  if (!parsed) throw std::runtime_error(parsed.error().message);
  return *parsed;
}

// Sessions of few hosts, destinations and NAT addresses, so that questions have answers: with windows,
// interim records, gaps, unknown counters and all that is optional.
class TrafficDice {
 public:
  explicit TrafficDice(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 30; ++i)
      hosts_.push_back(ip("10.0." + std::to_string(i % 3) + "." + std::to_string(i)));
    for (int i = 0; i < 6; ++i) hosts_.push_back(ip("fd00::" + std::to_string(i + 1)));
    for (int i = 0; i < 20; ++i) peers_.push_back(ip("198.51.100." + std::to_string(i)));
    for (int i = 0; i < 5; ++i) peers_.push_back(ip("2001:db8::" + std::to_string(i + 1)));
    for (int i = 0; i < 3; ++i) nat_.push_back(ip("203.0.113." + std::to_string(i + 1)));
  }

  // The records of one session that begins at `begin`, in their order.
  std::vector<SessionRecord> session(UnixMs begin,
                                     std::chrono::milliseconds window = std::chrono::minutes(10)) {
    SessionRecord record;
    record.origin = one_in(10) ? &other_ : &origin_;
    record.vpc_id = one_in(3) ? "vpc-lab" : one_in(2) ? "vpc-office" : "";
    record.protocol = one_in(3) ? 17 : one_in(20) ? 1 : 6;
    record.pri_ip = hosts_[pick(hosts_.size())];
    record.pub_ip = peers_[pick(peers_.size())];
    record.nat_ip = nat_[pick(nat_.size())];
    record.pri_port = static_cast<std::uint16_t>(1024 + pick(300));
    record.pub_port = one_in(2) ? 443 : static_cast<std::uint16_t>(pick(60'000));
    record.nat_port = static_cast<std::uint16_t>(40'000 + pick(200));
    record.zone = one_in(10) ? 7 : 0;
    record.mark = one_in(10) ? 42 : 0;
    if (one_in(15)) {
      record.has_orig_dst = true;
      record.orig_dst_ip = peers_[pick(peers_.size())];
      record.orig_dst_port = 8080;
    }
    const bool known_start = !one_in(12);
    if (known_start) record.session_start = begin;
    const std::int64_t lasts =
        one_in(6) ? static_cast<std::int64_t>(pick(3'000'000)) : static_cast<std::int64_t>(pick(90'000));
    const UnixMs end = begin + std::chrono::milliseconds(lasts);
    const bool unknown = one_in(25);
    std::vector<SessionRecord> records;
    UnixMs from = begin;
    while (true) {
      const auto boundary = UnixMs((from.time_since_epoch() / window + 1) * window);
      const bool last = boundary >= end;
      const bool idle = !last && one_in(4);
      if (!idle) {
        record.start_time = from;
        record.end_time = last ? end : boundary;
        record.event = last ? RecordEvent::kEnd : RecordEvent::kInterim;
        record.reason = !last       ? RecordReason::kNone
                        : one_in(8) ? RecordReason::kVanished
                                    : RecordReason::kDestroyed;
        record.tcp_state = record.protocol != 6 ? TcpState::kNone
                           : last               ? TcpState::kTimeWait
                                                : TcpState::kEstablished;
        record.pkts_from_vpc = unknown ? Count() : Count(pick(100));
        record.pkts_from_pub = unknown ? Count() : Count(pick(200));
        record.bytes_from_vpc = unknown ? Count() : Count(pick(100'000));
        record.bytes_from_pub = unknown ? Count() : Count(pick(3'000'000));
        record.session_id = derive_session_id(record);
        records.push_back(record);
        ++record.seq;
      }
      if (last) return records;
      from = boundary;
    }
  }

  SessionRecord gap(UnixMs from, UnixMs until) {
    SessionRecord record;
    record.origin = &origin_;
    record.event = RecordEvent::kGap;
    record.reason = RecordReason::kOverrun;
    record.start_time = from;
    record.end_time = until;
    if (one_in(2)) record.events_lost = Count(pick(1000));
    return record;
  }

  // All records of `sessions` that begin within [from, until), in the order of their ends.
  std::vector<SessionRecord> traffic(std::size_t sessions, UnixMs from, UnixMs until, std::size_t gaps = 0) {
    std::vector<SessionRecord> records;
    const auto span = static_cast<std::uint64_t>((until - from).count());
    const auto any_time = [&] { return from + std::chrono::milliseconds(pick(span)); };
    for (std::size_t i = 0; i < sessions; ++i) {
      for (const SessionRecord& record : session(any_time())) records.push_back(record);
    }
    for (std::size_t i = 0; i < gaps; ++i) {
      const UnixMs begin = any_time();
      records.push_back(gap(begin, begin + std::chrono::milliseconds(pick(60'000))));
    }
    std::stable_sort(records.begin(), records.end(),
                     [](const SessionRecord& a, const SessionRecord& b) { return a.end_time < b.end_time; });
    return records;
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  bool one_in(std::uint64_t many) { return pick(many) == 0; }
  [[nodiscard]] const std::vector<IpAddress>& hosts() const { return hosts_; }
  [[nodiscard]] const std::vector<IpAddress>& peers() const { return peers_; }
  [[nodiscard]] const std::vector<IpAddress>& nat() const { return nat_; }
  [[nodiscard]] const Origin& origin() const { return origin_; }

 private:
  std::mt19937_64 random_;
  Origin origin_{"nat-1", ""};
  Origin other_{"nat-2", "blue"};
  std::vector<IpAddress> hosts_, peers_, nat_;
};

}  // namespace natsession::testing
