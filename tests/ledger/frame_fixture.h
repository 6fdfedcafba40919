// A small language for tests of frames: encode, decode, compare; and records of every legal kind, by chance.
#pragma once

#include <algorithm>
#include <deque>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ledger/frame.h"
#include "ledger/frame_columns.h"
#include "ledger/frame_encoder.h"

namespace natsession::testing {

inline std::span<const std::byte> bytes_of(const std::string& frame) {
  return std::as_bytes(std::span(frame));
}

inline std::vector<Ordinal> ordinals_from(Ordinal first, std::size_t count) {
  std::vector<Ordinal> ordinals;
  for (std::size_t i = 0; i < count; ++i) ordinals.push_back(first + i);
  return ordinals;
}

inline std::string frame_of(std::span<const SessionRecord> records, Effort effort = Effort::kFast,
                            Ordinal first = 1000, const PeerDictionary* peers = nullptr) {
  std::string frame;
  FrameEncoder(effort).encode(records, ordinals_from(first, records.size()), false, frame, peers);
  return frame;
}

// The dictionary of a segment that has these records. Addresses that only one of them has are not in it.
inline Peers peers_of(std::span<const SessionRecord> records) {
  PeerCounter counter;
  for (const SessionRecord& record : records) counter.add(record.pub_ip, {record.protocol, record.pub_port});
  auto peers = PeerDictionary::read(counter.finish());
  return peers ? *peers : nullptr;
}

// All that records say, texts by their bytes.
inline bool same_records(std::span<const SessionRecord> left, std::span<const SessionRecord> right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const SessionRecord& a, const SessionRecord& b) {
                      return std::all_of(kFields.begin(), kFields.end(), [&](const FieldSpec& spec) {
                        return value_of(a, spec.field) == value_of(b, spec.field);
                      });
                    });
}

// Makes records that are legal and nothing else: what is likely, what is rare, and what stands at the limits.
class RecordDice {
 public:
  explicit RecordDice(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 5; ++i) {
      origins_.push_back(
          {"instance-" + std::to_string(i), i % 2 == 0 ? "" : "netns \0 " + std::to_string(i)});
      vpcs_.push_back(i == 0 ? "" : std::string(static_cast<std::size_t>(i * i * 40), 'v'));
    }
    for (int i = 0; i < 40; ++i) addresses_.push_back(any_address());
  }

  // `addresses`: of how many it chooses, unless it is to be strange.
  explicit RecordDice(std::uint64_t seed, std::size_t addresses) : RecordDice(seed) {
    while (addresses_.size() < addresses) addresses_.push_back(any_address());
  }

  // `strange`: of 100 values, how many are at the limits or anything at all.
  SessionRecord roll(unsigned strange) {
    strange_ = strange;
    SessionRecord record;
    record.origin = &origins_[pick(odd() ? origins_.size() : 1)];
    record.vpc_id = vpcs_[pick(odd() ? vpcs_.size() : 2)];
    if (odd() && one_in(4)) return gap(record);
    record.pri_ip = address();
    record.pub_ip = address();
    record.nat_ip = address();
    record.pri_port = static_cast<std::uint16_t>(number(0xffff));
    record.pub_port = odd() ? static_cast<std::uint16_t>(number(0xffff)) : std::uint16_t{443};
    record.nat_port = one_in(3) ? static_cast<std::uint16_t>(number(0xffff)) : record.pri_port;
    record.pkts_from_vpc = count(100'000);
    record.pkts_from_pub = count(100'000);
    record.bytes_from_vpc = count(1U << 30);
    record.bytes_from_pub = count(1U << 30);
    record.end_time = time(now_ += static_cast<std::int64_t>(pick(3)));
    record.start_time = time(now_ - static_cast<std::int64_t>(pick(600'000)));
    if (!odd()) record.session_start = one_in(5) ? time(now_ - 5'000'000) : record.start_time;
    record.protocol = odd()       ? static_cast<std::uint8_t>(number(255))
                      : one_in(2) ? std::uint8_t{6}
                                  : std::uint8_t{17};
    record.event = one_in(6) ? RecordEvent::kInterim : one_in(20) ? RecordEvent::kStart : RecordEvent::kEnd;
    if (record.event == RecordEvent::kEnd) {
      record.reason = odd() ? RecordReason::kVanished : RecordReason::kDestroyed;
    }
    if (record.protocol == 6) record.tcp_state = static_cast<TcpState>(pick(10));
    record.seq = odd() ? static_cast<std::uint32_t>(number(0xffff'ffff)) : 0;
    visit_plain([&]<Field kField>() {
      if (kRow<kField>.kHas != Has::kGap && odd()) set_plain<kField>(number(kSpec<kField>.limit), record);
    });
    if (odd()) {
      record.has_orig_dst = true;
      record.orig_dst_ip = address();
      record.orig_dst_port = static_cast<std::uint16_t>(number(0xffff));
    }
    if (odd()) {
      record.flow = static_cast<std::uint32_t>(number(kMaxFlow));
      if (record.flow != 0) record.flow_kind = static_cast<FlowKind>(pick(4));
      record.tcp_flags = static_cast<std::uint8_t>(number(0xff));
      record.iif = vpcs_[pick(2)];
      record.oif = vpcs_[pick(vpcs_.size())];
    }
    record.session_id = derive_session_id(record);
    return record;
  }

  std::vector<SessionRecord> roll_many(std::size_t count_of_records, unsigned strange) {
    std::vector<SessionRecord> records;
    for (std::size_t i = 0; i < count_of_records; ++i) records.push_back(roll(strange));
    return records;
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  bool one_in(std::uint64_t many) { return pick(many) == 0; }

 private:
  bool odd() { return pick(100) < strange_; }

  std::uint64_t number(std::uint64_t limit) {
    if (!odd()) return pick(limit) + (one_in(2) ? 1 : 0);
    const std::uint64_t values[] = {0, 1, limit - 1, limit, limit / 2, random_() % limit};
    return values[pick(6)];
  }
  Count count(std::uint64_t usual) {
    if (!odd()) return Count(one_in(2) ? pick(usual) : pick(20));
    const Count values[] = {Count(),
                            Count(0),
                            Count(1),
                            Count(std::numeric_limits<std::uint64_t>::max() - 1),
                            Count(random_() >> pick(64)),
                            Count(std::uint64_t{1} << 63)};
    return values[pick(6)];
  }
  UnixMs time(std::int64_t ms) {
    const std::int64_t values[] = {0, -1, std::numeric_limits<std::int64_t>::min(),
                                   std::numeric_limits<std::int64_t>::max(),
                                   static_cast<std::int64_t>(random_())};
    return UnixMs(std::chrono::milliseconds(odd() && one_in(3) ? values[pick(5)] : ms));
  }
  IpAddress any_address() {
    if (one_in(2)) return IpAddress::from_v4(static_cast<std::uint32_t>(random_()));
    std::array<std::uint8_t, 16> bytes;
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(one_in(3) ? 0 : random_());
    return IpAddress::from_v6(bytes);
  }
  IpAddress address() { return odd() ? any_address() : addresses_[pick(addresses_.size())]; }
  SessionRecord gap(SessionRecord record) {
    record.event = RecordEvent::kGap;
    record.reason = static_cast<RecordReason>(3 + pick(6));
    record.start_time = time(now_ - 1000);
    record.end_time = time(now_);
    record.events_lost = count(1000);
    return record;
  }

  std::mt19937_64 random_;
  unsigned strange_ = 0;
  std::int64_t now_ = 1'795'263'662'108;
  std::deque<Origin> origins_;
  std::deque<std::string> vpcs_;
  std::vector<IpAddress> addresses_;
};

}  // namespace natsession::testing
