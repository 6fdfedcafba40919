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

// Multiplied into the range, so that there may be any number of slots: a quarter more each time, not twice as
// many.
AssignmentTable::Hashed AssignmentTable::hashed(const IpAddress& address, std::uint8_t bits) const {
  std::uint64_t hash = 0;
  if (address.is_v4()) {
    hash = hash_(std::array<std::uint64_t, 1>{address.v4() | std::uint64_t{bits} << 32U});
  } else {
    std::array<std::uint64_t, 3> words{0, 0, bits};
    std::memcpy(words.data(), address.bytes().data(), 16);
    hash = hash_(words);
  }
  __extension__ using Wide = unsigned __int128;
  return {static_cast<std::size_t>(static_cast<Wide>(hash) * slots_.size() >> 64U),
          static_cast<std::uint32_t>(hash) << kIndexBits};
}

AssignmentTable::Hashed AssignmentTable::hashed_of(Index index) const {
  const Prefix prefix = prefix_of(index);
  return hashed(prefix.lowest(), bits_of(prefix));
}

std::size_t AssignmentTable::slot_of(const IpAddress& address, std::uint8_t bits) const {
  if (slots_.empty()) return kNoSlot;
  const Hashed wanted = hashed(address, bits);
  for (std::size_t slot = wanted.slot; slots_[slot] != kEmptySlot; slot = behind(slot)) {
    if ((slots_[slot] & ~kMostEntries) == wanted.tag && is_of(at(index_in(slots_[slot])), address, bits))
      return slot;
  }
  return kNoSlot;
}

void AssignmentTable::bring(std::span<const IpAddress> addresses,
                            std::span<const Entry*, kTogether> brought) const {
  std::fill(brought.begin(), brought.end(), nullptr);
  if (slots_.empty()) return;
  addresses = addresses.first(std::min(addresses.size(), kTogether));
  std::array<Hashed, kTogether> wanted;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    wanted[i] = hashed(addresses[i], length_of_one(addresses[i].is_v4()));
    __builtin_prefetch(&slots_[wanted[i].slot]);
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    std::size_t slot = wanted[i].slot;
    while (slots_[slot] != kEmptySlot && (slots_[slot] & ~kMostEntries) != wanted[i].tag) slot = behind(slot);
    if (slots_[slot] == kEmptySlot) continue;
    brought[i] = &at(index_in(slots_[slot]));
    __builtin_prefetch(brought[i]);
    __builtin_prefetch(reinterpret_cast<const char*>(brought[i] + 1) - 1);
  }
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (brought[i] != nullptr) texts_.prefetch(brought[i]->texts);
  }
}

void AssignmentTable::grow() {
  constexpr std::size_t kLeast = 1024;
  decltype(slots_) before(std::max(kLeast, slots_.size() + slots_.size() / 4), kEmptySlot);
  before.swap(slots_);
  for (const std::uint32_t first : before) {
    if (first == kEmptySlot) continue;
    std::size_t slot = hashed_of(index_in(first)).slot;
    while (slots_[slot] != kEmptySlot) slot = behind(slot);
    slots_[slot] = first;
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
  if (free_ == kNone && places_ == kMostEntries) return kNone;
  // Six of seven slots are used at most.
  if ((used_slots_ + 1) * 7 > slots_.size() * 6) grow();
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
  entry.group = assignment.group;
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

  const Hashed wanted = hashed(address, entry.bits);
  std::size_t slot = slot_of(address, entry.bits);
  if (slot != kNoSlot) {
    entry.next = index_in(slots_[slot]);
  } else {
    slot = wanted.slot;
    while (slots_[slot] != kEmptySlot) slot = behind(slot);
    ++used_slots_;
  }
  slots_[slot] = wanted.tag | index;
  return index;
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
  if (index_in(slots_[slot]) == index) {
    if (entry.next == kNone)
      remove_slot(slot);
    else
      slots_[slot] = (slots_[slot] & ~kMostEntries) | entry.next;
  } else {
    Index before = index_in(slots_[slot]);
    while (at(before).next != index) before = at(before).next;
    at(before).next = entry.next;
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

// Those behind it move up, so that no look-up ends before it should.
void AssignmentTable::remove_slot(std::size_t slot) {
  slots_[slot] = kEmptySlot;
  --used_slots_;
  const auto distance = [&](std::size_t from, std::size_t to) {
    return to >= from ? to - from : to + slots_.size() - from;
  };
  for (std::size_t next = behind(slot); slots_[next] != kEmptySlot; next = behind(next)) {
    const std::size_t wanted = hashed_of(index_in(slots_[next])).slot;
    if (distance(wanted, next) < distance(slot, next)) continue;
    slots_[slot] = slots_[next];
    slots_[next] = kEmptySlot;
    slot = next;
  }
}

std::size_t AssignmentTable::bytes() const {
  return blocks_.size() * kBlock * sizeof(Entry) + slots_.size() * sizeof(slots_[0]) +
         v6_.capacity() * sizeof(v6_[0]) + texts_.bytes() + ended_.size() * sizeof(ended_[0]);
}

}  // namespace natsession
