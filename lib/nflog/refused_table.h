// RefusedTable: adds refused packets up by interface, direction and 5-tuple, over one window after the other.
// Threads: one.
//
// Memory is fixed: two sides of `max_flows` flows each, one that is added to and one that is handed on, whose
// pages the kernel gives only when they are written. What does not fit is counted by interface and direction.
// A flow is found by a hash under a key of this process, so that nobody can send flows that meet in one
// place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/scratch.h"
#include "base/seeded_hash.h"
#include "base/time.h"
#include "net/ip_address.h"
#include "nflog/refused_packet.h"

namespace natsession {

// What one flow log's entry of refused traffic is made of.
struct RefusedFlow {
  std::uint32_t interface = 0;  // index; 0: the packet had none
  bool egress = false;
  std::uint8_t protocol = 0;
  std::uint8_t tcp_flags = 0;  // flow_log_flags() of all, or-ed
  IpAddress src;
  IpAddress dst;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  // Of the packets' own times: a packet that was queued when the last window closed is told in this one.
  UnixMs first{};
  UnixMs last{};
  friend bool operator==(const RefusedFlow&, const RefusedFlow&) = default;
};

// What found no room in the table.
struct RefusedLeftOut {
  std::uint32_t interface = 0;  // 0 also for all beyond kMaxLeftOut interfaces
  bool egress = false;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  friend bool operator==(const RefusedLeftOut&, const RefusedLeftOut&) = default;
};

class RefusedTable {
 public:
  static constexpr std::size_t kDefaultFlows = 200'000;  // at 72 bytes, and 16 to 32 to find them
  static constexpr std::size_t kMaxLeftOut = 256;        // interfaces and directions

  explicit RefusedTable(std::size_t max_flows = kDefaultFlows, SeededHash hash = SeededHash::random());

  // Each packet's time is set.
  void add(std::span<const RefusedPacket> packets);

  [[nodiscard]] std::size_t flows() const { return open().count; }
  [[nodiscard]] std::size_t max_flows() const { return max_flows_; }
  [[nodiscard]] std::uint64_t left_out_packets() const { return left_out_packets_; }  // since the beginning
  [[nodiscard]] std::uint64_t left_out_bytes() const { return left_out_bytes_; }

  // Ends the window: what was added so far is handed on by take(), what is added from now on is of the next.
  // False, and nothing happens, while the last window is not taken whole: then this one goes on.
  [[nodiscard]] bool close_window();
  // Hands on up to `count` flows of the closed window, in the order in which they first came; returns how
  // many it were. 0: it is taken whole, left_out() included.
  template <typename Visit>
  std::size_t take(std::size_t count, Visit&& visit) {
    Side& side = sides_[1 - open_];
    count = std::min(count, side.count - taken_);
    for (std::size_t i = 0; i < count; ++i) visit(flow_of(side.entries[taken_++]));
    if (taken_ == side.count) clear(side);
    return count;
  }
  // Of the closed window, until the next one closes.
  [[nodiscard]] std::span<const RefusedLeftOut> left_out() const { return sides_[1 - open_].left_out; }

 private:
  static constexpr std::size_t kMaxProbes = 64;
  static constexpr std::size_t kBatch =
      16;  // packets whose places are asked of the memory before one is looked at
  struct Key {
    std::array<std::uint64_t, 6> words{};
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Entry {
    std::array<std::uint64_t, 5> words;  // of the key: addresses; ports and interface
    std::uint16_t rest;                  // of the key: protocol and direction
    std::uint8_t tcp_flags;
    std::uint32_t last_after_ms;  // since `first_ms`
    std::int64_t first_ms;
    std::uint64_t packets;
    std::uint64_t bytes;
  };
  static_assert(sizeof(Entry) == 72);
  struct Free {
    void operator()(std::uint64_t* slots) const { std::free(slots); }  // NOLINT: from calloc
  };
  // A slot is 0, or the upper half of a hash over one more than the index of an entry.
  struct Side {
    std::unique_ptr<std::uint64_t[], Free> slots;
    Scratch<Entry> entries;
    std::size_t count = 0;
    std::vector<RefusedLeftOut> left_out;
  };

  [[nodiscard]] const Side& open() const { return sides_[open_]; }
  [[nodiscard]] static Key key_of(const RefusedPacket& packet);
  [[nodiscard]] static RefusedFlow flow_of(const Entry& entry);
  void add_one(const RefusedPacket& packet, const Key& key, std::uint64_t hash);
  void leave_out(const RefusedPacket& packet);
  void clear(Side& side);

  std::size_t max_flows_;
  std::size_t slot_mask_;
  SeededHash hash_;
  std::array<Side, 2> sides_;
  std::size_t open_ = 0;   // which side is added to
  std::size_t taken_ = 0;  // flows of the other
  std::uint64_t left_out_packets_ = 0;
  std::uint64_t left_out_bytes_ = 0;
};

}  // namespace natsession
