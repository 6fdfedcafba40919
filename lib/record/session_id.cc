// Source: FORMAT.md, "session_id"; XXH3 is frozen since xxHash 0.8.0.
#define XXH_INLINE_ALL
#include <array>
#include <concepts>
#include <limits>
#include <string>

#include <xxhash.h>

#include "record/session_record.h"

namespace natsession {
namespace {

// The bytes that are hashed, big-endian:
//   input    := zone u16, protocol u8, pri, pub, nat, orig_dst, session_start i64 [twin u32]
//   endpoint := address (16 bytes, IPv4 as ::ffff:a.b.c.d), port u16
// pri, pub, nat and orig_dst are endpoints; orig_dst is all zeros when there is none. session_start is in
// milliseconds, INT64_MIN when it is not known. In a record that is_momentary() it is end_time when it is not
// known, and `twin` follows; in others only if it is not 0.
constexpr std::size_t kMaxInputLength = 2 + 1 + 4 * (16 + 2) + 8 + 4;
constexpr std::int64_t kNoStart = std::numeric_limits<std::int64_t>::min();

class Input {
 public:
  template <std::unsigned_integral T>
  void put(T value) {
    for (unsigned shift = 8 * sizeof(T); shift > 0; shift -= 8) {
      bytes_[length_++] = static_cast<std::uint8_t>(value >> (shift - 8));
    }
  }
  void put(const IpAddress& address, std::uint16_t port) {
    std::memcpy(bytes_.data() + length_, address.bytes().data(), address.bytes().size());
    length_ += address.bytes().size();
    put(port);
  }
  [[nodiscard]] std::uint64_t hash() const { return XXH3_64bits(bytes_.data(), length_); }

 private:
  std::array<std::uint8_t, kMaxInputLength> bytes_{};
  std::size_t length_ = 0;
};

}  // namespace

bool is_momentary(const SessionRecord& record) {
  return record.event == RecordEvent::kEnd && is_first(record.seq) &&
         (!record.session_start || record.end_time <= *record.session_start);
}

std::uint64_t derive_session_id(const SessionRecord& record) {
  Input input;
  input.put(record.zone);
  input.put(record.protocol);
  input.put(record.pri_ip, record.pri_port);
  input.put(record.pub_ip, record.pub_port);
  input.put(record.nat_ip, record.nat_port);
  if (record.has_orig_dst) {
    input.put(record.orig_dst_ip, record.orig_dst_port);
  } else {
    input.put(IpAddress(), std::uint16_t{0});
  }
  const bool momentary = is_momentary(record);
  std::int64_t start = momentary ? record.end_time.time_since_epoch().count() : kNoStart;
  if (record.session_start) start = record.session_start->time_since_epoch().count();
  input.put(static_cast<std::uint64_t>(start));
  const std::uint32_t twin = record.seq >> kSeqBits;
  if (momentary || twin != 0) input.put(twin);
  return input.hash();
}

std::uint64_t derive_gap_id(const SessionRecord& record) {
  // Lengths before the texts, so that no two pairs look the same.
  std::string input;
  const auto put = [&](std::uint64_t value) {
    for (unsigned shift = 64; shift > 0; shift -= 8) input.push_back(static_cast<char>(value >> (shift - 8)));
  };
  for (const std::string& text : {record.origin->instance, record.origin->netns}) {
    put(text.size());
    input += text;
  }
  put(static_cast<std::uint64_t>(record.start_time.time_since_epoch().count()));
  put(static_cast<std::uint64_t>(record.end_time.time_since_epoch().count()));
  put(static_cast<std::uint64_t>(record.reason));
  put(record.events_lost.known() ? record.events_lost.value() + 1 : 0);
  return XXH3_64bits(input.data(), input.size());
}

}  // namespace natsession
