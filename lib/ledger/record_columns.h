// RecordColumns: records turned into the columns of a frame, as numbers, in the order of its rows; what the
// encoder begins with.
// Threads: one for each object.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ledger/address_halves.h"
#include "ledger/frame_layout.h"
#include "ledger/host_index.h"
#include "ledger/peer_dictionary.h"

namespace natsession {

// FrameClock: about when the record of an ordinal ended: a straight line between knots, each `step` ordinals.
struct FrameClock {
  std::uint32_t step = 1;
  std::vector<std::int64_t> knots;  // ms since 1970

  // Shape: `offset` lies between the knots; it is less than 2^32.
  [[nodiscard]] std::int64_t at(std::uint64_t offset) const {
    const std::uint32_t knot = static_cast<std::uint32_t>(offset) / step;
    const std::uint32_t behind = static_cast<std::uint32_t>(offset) % step;
    const std::uint64_t from = static_cast<std::uint64_t>(knots[knot]);
    const auto rise = static_cast<std::int64_t>(static_cast<std::uint64_t>(knots[knot + 1]) - from);
    // Mostly all is small, and divisions of 32 bits are quicker.
    if (step < 0x8000 && rise >= 0 && rise < 0x7fff'ffff) [[likely]] {
      const auto small = static_cast<std::uint32_t>(rise);
      return static_cast<std::int64_t>(from + std::uint64_t{small / step} * behind +
                                       small % step * behind / step);
    }
    return static_cast<std::int64_t>(
        from + static_cast<std::uint64_t>(rise / step * behind + rise % step * behind / step));
  }
};

// DistinctAddresses: each address once, in the order in which they came.
class DistinctAddresses {
 public:
  void clear();  // before the first, too
  std::uint32_t place_of(const IpAddress& address);
  [[nodiscard]] const Halves& at(std::size_t place) const { return halves_[place]; }
  // Of each place, the place among all ascending.
  void rank(std::vector<std::uint32_t>& ranks) const;

 private:
  std::vector<Halves> halves_;
  std::vector<std::uint32_t> slots_;  // one more than the place, by hash; a power of two
};

struct RecordColumns {
  // Takes records apart. Texts are not copied: they must live until the frame is made. `peers` may be null.
  void load(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
            const PeerDictionary* peers);

  [[nodiscard]] std::vector<std::uint64_t>& operator[](ColumnId column) {
    return numbers[static_cast<std::size_t>(column)];
  }

  // As frame_layout.h says, or empty where all are zero; but for kBytesFromVpc and kBytesFromPub, which are
  // counts here.
  std::array<std::vector<std::uint64_t>, kColumnIds> numbers;
  std::vector<IpAddress> nats;  // ascending
  std::vector<HostRun> runs;
  std::vector<std::uint16_t> nat_ports;
  std::vector<std::uint8_t> first_of_run;
  FrameClock clock;
  std::vector<std::string_view> origin_texts;  // instance, netns; instance, netns …
  std::vector<std::string_view> vpc_ids;
  FrameInfo info;  // all but bytes and long_sessions

 private:
  void sort(std::span<const SessionRecord> records);
  void make_clock(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals);
  void load_texts(std::span<const SessionRecord> records);
  void fill(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
            const PeerDictionary* peers);
  void sort_keys(std::uint64_t differing);

  std::vector<std::uint32_t> rows_;  // which record stands in each row
  // Scratch.
  DistinctAddresses nat_places_;
  DistinctAddresses pri_places_;
  std::vector<std::uint64_t> keys_;  // nat_ip's rank, 16 bits; pri_ip or its rank, 32; which record
  std::vector<std::uint64_t> sorted_;
};

}  // namespace natsession
