#include "identity/assignment_table.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace natsession {
namespace {

using std::chrono::floor;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::uint8_t bits_of(const Prefix& prefix) {
  return static_cast<std::uint8_t>(prefix.length());
}

}  // namespace

std::uint64_t AssignmentTable::hash_of(const IpAddress& address, std::uint8_t bits) const {
  if (address.is_v4()) return hash_(std::array<std::uint64_t, 1>{address.v4() | std::uint64_t{bits} << 32U});
  std::array<std::uint64_t, 3> words{0, 0, bits};
  std::memcpy(words.data(), address.bytes().data(), 16);
  return hash_(words);
}

std::uint64_t AssignmentTable::hash_of(Index index) const {
  const Prefix prefix = prefix_of(index);
  return hash_of(prefix.lowest(), bits_of(prefix));
}

std::size_t AssignmentTable::slot_of(const IpAddress& address, std::uint8_t bits) const {
  return slots_.find(hash_of(address, bits), [&](Index index) { return is_of(at(index), address, bits); });
}

void AssignmentTable::bring(std::span<const IpAddress> addresses,
                            std::span<const Entry*, kTogether> brought) const {
  std::fill(brought.begin(), brought.end(), nullptr);
  addresses = addresses.first(std::min(addresses.size(), kTogether));
  std::array<std::uint64_t, kTogether> hashes;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    hashes[i] = hash_of(addresses[i], length_of_one(addresses[i].is_v4()));
    slots_.prefetch(hashes[i]);
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const std::size_t slot = slots_.probable(hashes[i]);
    if (slot == IndexSlots::kNone) continue;
    brought[i] = &at(slots_.at(slot));
    __builtin_prefetch(brought[i]);
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (brought[i] != nullptr) texts_.prefetch(brought[i]->texts);
  }
}

void AssignmentTable::Entry::set_from(UnixMs from) {
  constexpr std::int64_t kMost = (std::int64_t{1} << 48U) - 1;
  const auto ms =
      static_cast<std::uint64_t>(std::clamp<std::int64_t>(from.time_since_epoch().count(), 0, kMost));
  from_low = static_cast<std::uint32_t>(ms);
  from_high = static_cast<std::uint16_t>(ms >> 32U);
}

AssignmentTable::Index AssignmentTable::add(const New& assignment) {
  if (free_ == kNone && places_ == IndexSlots::kMostIndices) return kNone;
  Index index = free_;
  if (index != kNone) {
    free_ = at(index).next;
  } else {
    if (places_ % kBlock == 0) blocks_.emplace_back(kBlock);
    index = places_++;
  }
  Entry& entry = at(index);
  entry = Entry();
  const IpAddress address = assignment.prefix.lowest();
  entry.is_v4 = address.is_v4();
  if (entry.is_v4) {
    entry.address = address.v4();
  } else if (!free_v6_.empty()) {
    entry.address = free_v6_.back();
    free_v6_.pop_back();
    v6_[entry.address] = address.bytes();
  } else {
    entry.address = static_cast<std::uint32_t>(v6_.size());
    v6_.push_back(address.bytes());
  }
  entry.set_from(assignment.from);
  const auto earlier = std::chrono::ceil<seconds>(assignment.from - assignment.from_earliest).count();
  entry.earlier = assignment.from_earliest == kUnknownBegin
                      ? kUnknownEarlier
                      : static_cast<std::uint32_t>(std::clamp<std::int64_t>(earlier, 0, kUnknownEarlier - 1));
  entry.source = assignment.source & (kMaxSources - 1);
  entry.kind = assignment.kind;
  entry.bits = bits_of(assignment.prefix);
  entry.texts = texts_.add(assignment.texts);
  entry.in_use = true;
  set_end(index, assignment.expires);
  count(entry.is_v4, entry.bits, true);
  ++open_[entry.source];

  const std::size_t slot = slot_of(address, entry.bits);
  if (slot != IndexSlots::kNone) {
    entry.next = slots_.at(slot);
    slots_.replace(slot, index);
  } else {
    slots_.insert(hash_of(index), index, [&](Index other) { return hash_of(other); });
  }
  set_group(index, assignment.group);
  return index;
}

void AssignmentTable::set_group(Index index, std::uint16_t group) {
  Entry& entry = at(index);
  if (entry.group == group) return;
  const auto hash = [&](Index other) { return hash_of_id(other); };
  if (entry.group != 0) {
    const std::size_t slot = ids_.find(hash(index), [&](Index other) { return other == index; });
    if (slot != IndexSlots::kNone) ids_.remove(slot, hash);
  }
  entry.group = group;
  if (group == 0) return;
  // A client that gives all its sessions one id makes no list of them all.
  std::size_t others = 0;
  of_id(group, texts_of(index).id, [&](Index) { ++others; });
  if (others < kMostOfId) ids_.insert(hash(index), index, hash);
}

Prefix AssignmentTable::prefix_of(Index index) const {
  const Entry& entry = at(index);
  return Prefix::of(entry.is_v4 ? IpAddress::from_v4(entry.address) : IpAddress::from_v6(v6_[entry.address]),
                    entry.bits);
}

void AssignmentTable::set_end(Index index, std::optional<UnixMs> end) {
  Entry& entry = at(index);
  // A lease for ever, or beyond 2106, has no end that anybody waits for.
  constexpr seconds kFarthest{~std::uint32_t{0}};
  if (!end || end->time_since_epoch() <= milliseconds(0) || end->time_since_epoch() >= kFarthest) {
    entry.end_seconds = 0;
    entry.end_ms = 0;
    return;
  }
  const auto whole = floor<seconds>(end->time_since_epoch());
  entry.end_seconds = static_cast<std::uint32_t>(whole.count());
  entry.end_ms = static_cast<std::uint16_t>((end->time_since_epoch() - whole).count()) & 1023U;
}

void AssignmentTable::end(Index index, UnixMs until) {
  Entry& entry = at(index);
  if (entry.ended) return;
  entry.ended = true;
  set_end(index, until);
  --open_[entry.source];
  ended_.emplace_back(until, index);
}

void AssignmentTable::forget_ended(UnixMs before) {
  while (!ended_.empty() && ended_.front().first < before) {
    remove(ended_.front().second);
    ended_.pop_front();
  }
}

void AssignmentTable::remove(Index index) {
  const Prefix prefix = prefix_of(index);
  const std::size_t slot = slot_of(prefix.lowest(), bits_of(prefix));
  Entry& entry = at(index);
  set_group(index, 0);
  if (slots_.at(slot) != index) {
    Index before = slots_.at(slot);
    while (at(before).next != index) before = at(before).next;
    at(before).next = entry.next;
  } else if (entry.next != kNone) {
    slots_.replace(slot, entry.next);
  } else {
    slots_.remove(slot, [&](Index other) { return hash_of(other); });
  }
  count(entry.is_v4, entry.bits, false);
  if (!entry.is_v4) free_v6_.push_back(entry.address);
  texts_.remove(entry.texts);
  entry = Entry();
  entry.next = free_;
  free_ = index;
}

void AssignmentTable::count(bool is_v4, std::uint8_t bits, bool one_more) {
  std::uint32_t& count = counts_[is_v4 ? 1 : 0][bits];
  auto& lengths = lengths_[is_v4 ? 1 : 0];
  if (one_more && count == 0)
    lengths.insert(std::upper_bound(lengths.begin(), lengths.end(), bits, std::greater<>()), bits);
  count += one_more ? 1 : -1U;
  if (count == 0) std::erase(lengths, bits);
}

std::size_t AssignmentTable::bytes() const {
  return blocks_.size() * kBlock * sizeof(Entry) + slots_.bytes() + ids_.bytes() +
         v6_.capacity() * sizeof(v6_[0]) + texts_.bytes() + ended_.size() * sizeof(ended_[0]);
}

}  // namespace natsession
