#include "nflog/refused_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <new>

namespace natsession {
namespace {

constexpr std::uint64_t kTagMask = 0xffff'ffff'0000'0000;

std::int64_t ms_of(const RefusedPacket& packet) {
  return to_ms(packet.time).time_since_epoch().count();
}

}  // namespace

RefusedTable::RefusedTable(std::size_t max_flows, SeededHash hash)
    : max_flows_(std::clamp<std::size_t>(max_flows, 1, std::numeric_limits<std::uint32_t>::max() - 1)),
      slot_mask_(std::bit_ceil(max_flows_ * 2) - 1),
      hash_(hash) {
  for (Side& side : sides_) {
    // Both are pages that nobody has written, until flows come.
    side.slots.reset(static_cast<std::uint64_t*>(std::calloc(slot_mask_ + 1, sizeof(std::uint64_t))));
    if (side.slots == nullptr) throw std::bad_alloc();
    side.entries.resize(max_flows_);
    side.left_out.reserve(kMaxLeftOut);
  }
}

RefusedTable::Key RefusedTable::key_of(const RefusedPacket& packet) {
  Key key;
  std::memcpy(key.words.data(), packet.src.bytes().data(), 16);
  std::memcpy(key.words.data() + 2, packet.dst.bytes().data(), 16);
  key.words[4] =
      std::uint64_t{packet.src_port} << 48U | std::uint64_t{packet.dst_port} << 32U | packet.interface();
  key.words[5] = packet.protocol | (packet.egress ? 0x100U : 0U);
  return key;
}

RefusedFlow RefusedTable::flow_of(const Entry& entry) {
  RefusedFlow flow;
  flow.interface = static_cast<std::uint32_t>(entry.words[4]);
  flow.egress = (entry.rest & 0x100U) != 0;
  flow.protocol = static_cast<std::uint8_t>(entry.rest);
  flow.tcp_flags = entry.tcp_flags;
  std::array<std::uint8_t, 16> address{};
  std::memcpy(address.data(), entry.words.data(), address.size());
  flow.src = IpAddress::from_v6(address);
  std::memcpy(address.data(), entry.words.data() + 2, address.size());
  flow.dst = IpAddress::from_v6(address);
  flow.src_port = static_cast<std::uint16_t>(entry.words[4] >> 48U);
  flow.dst_port = static_cast<std::uint16_t>(entry.words[4] >> 32U);
  flow.packets = entry.packets;
  flow.bytes = entry.bytes;
  flow.first = UnixMs(std::chrono::milliseconds(entry.first_ms));
  flow.last = flow.first + std::chrono::milliseconds(entry.last_after_ms);
  return flow;
}

void RefusedTable::add(std::span<const RefusedPacket> packets) {
  std::array<Key, kBatch> keys;
  std::array<std::uint64_t, kBatch> hashes;  // NOLINT: written before it is read
  Side& side = sides_[open_];
  while (!packets.empty()) {
    const std::size_t count = std::min(packets.size(), kBatch);
    for (std::size_t i = 0; i < count; ++i) {
      keys[i] = key_of(packets[i]);
      hashes[i] = hash_(keys[i].words);
      __builtin_prefetch(&side.slots[hashes[i] & slot_mask_], 1);
    }
    for (std::size_t i = 0; i < count; ++i) {
      // Mostly the flow is in its first slot; where it is not, this was for nothing.
      const std::uint64_t slot = side.slots[hashes[i] & slot_mask_];
      if (slot == 0) continue;
      const auto* const entry = reinterpret_cast<const char*>(&side.entries[(slot & ~kTagMask) - 1]);
      __builtin_prefetch(entry, 1);
      __builtin_prefetch(entry + sizeof(Entry) - 1, 1);
    }
    for (std::size_t i = 0; i < count; ++i) add_one(packets[i], keys[i], hashes[i]);
    packets = packets.subspan(count);
  }
}

void RefusedTable::add_one(const RefusedPacket& packet, const Key& key, std::uint64_t hash) {
  Side& side = sides_[open_];
  const std::uint64_t tag = hash & kTagMask;
  const std::int64_t ms = ms_of(packet);
  for (std::size_t probe = 0; probe < kMaxProbes; ++probe) {
    std::uint64_t& slot = side.slots[(hash + probe) & slot_mask_];
    if (slot == 0) {
      if (side.count == max_flows_) break;
      Entry& entry = side.entries[side.count];
      std::copy_n(key.words.begin(), entry.words.size(), entry.words.begin());
      entry.rest = static_cast<std::uint16_t>(key.words[5]);
      entry.tcp_flags = packet.protocol == 6 ? flow_log_flags(packet.tcp_flags) : std::uint8_t{0};
      entry.last_after_ms = 0;
      entry.first_ms = ms;
      entry.packets = 1;
      entry.bytes = packet.length;
      slot = tag | ++side.count;
      return;
    }
    if ((slot & kTagMask) != tag) continue;
    Entry& entry = side.entries[(slot & ~kTagMask) - 1];
    if (entry.rest != key.words[5] || !std::equal(entry.words.begin(), entry.words.end(), key.words.begin()))
      continue;
    ++entry.packets;
    entry.bytes += packet.length;
    if (packet.protocol == 6) entry.tcp_flags |= flow_log_flags(packet.tcp_flags);
    // Copies of two processors may come in another order than that of their times, and clocks are set.
    const std::int64_t last = std::max(entry.first_ms + entry.last_after_ms, ms);
    entry.first_ms = std::min(entry.first_ms, ms);
    entry.last_after_ms = static_cast<std::uint32_t>(
        std::min<std::int64_t>(last - entry.first_ms, std::numeric_limits<std::uint32_t>::max()));
    return;
  }
  leave_out(packet);
}

void RefusedTable::leave_out(const RefusedPacket& packet) {
  ++left_out_packets_;
  left_out_bytes_ += packet.length;
  std::vector<RefusedLeftOut>& all = sides_[open_].left_out;
  const auto same = [&](const RefusedLeftOut& left) {
    return left.interface == packet.interface() && left.egress == packet.egress;
  };
  auto found = std::find_if(all.begin(), all.end(), same);
  if (found == all.end()) {
    // The last place is everybody's.
    if (all.size() + 1 < kMaxLeftOut) {
      found = all.insert(all.end(), {packet.interface(), packet.egress, 0, 0});
    } else {
      if (all.size() < kMaxLeftOut) all.push_back({});
      found = all.end() - 1;
    }
  }
  ++found->packets;
  found->bytes += packet.length;
}

bool RefusedTable::close_window() {
  Side& other = sides_[1 - open_];
  if (other.count != 0) return false;
  other.left_out.clear();
  open_ = 1 - open_;
  taken_ = 0;
  return true;
}

void RefusedTable::clear(Side& side) {
  // Few flows are taken out one by one, so that the pages of a large table stay unwritten.
  if (side.count > slot_mask_ / 16) {
    std::fill_n(side.slots.get(), slot_mask_ + 1, 0);
  } else {
    for (std::size_t index = 0; index < side.count; ++index) {
      Key key;
      const Entry& entry = side.entries[index];
      std::copy(entry.words.begin(), entry.words.end(), key.words.begin());
      key.words[5] = entry.rest;
      const std::uint64_t hash = hash_(key.words);
      std::size_t place = hash & slot_mask_;
      while ((side.slots[place] & ~kTagMask) != index + 1) place = (place + 1) & slot_mask_;
      side.slots[place] = 0;
    }
  }
  side.count = taken_ = 0;
}

}  // namespace natsession
