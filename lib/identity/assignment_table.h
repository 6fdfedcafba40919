// AssignmentTable: the assignments that are open, and those that ended a moment ago, by address; some 64
// bytes each with their texts, since a large network has a million.
// Threads: as whoever holds it says; look-ups do not change it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/huge_pages.h"
#include "base/seeded_hash.h"
#include "base/time.h"
#include "identity/assignment.h"
#include "identity/assignment_texts.h"
#include "identity/index_slots.h"

namespace natsession {

class AssignmentTable {
 public:
  using Index = IndexSlots::Index;
  static constexpr Index kNone = ~Index{0};

  static constexpr std::uint32_t kUnknownEarlier = ~std::uint32_t{0};

  // Two in each line of the cache, so that a look at one waits for one line.
  struct alignas(32) Entry {
    [[nodiscard]] UnixMs from() const {
      return UnixMs(
          std::chrono::milliseconds(static_cast<std::int64_t>(std::uint64_t{from_high} << 32U | from_low)));
    }
    void set_from(UnixMs from);  // of 1970 to 10889
    std::uint32_t from_low = 0;
    std::uint32_t address = 0;  // IPv4's, or where the IPv6 address stands
    Index next = kNone;         // of the same prefix
    AssignmentTexts::Place texts = 0;
    std::uint32_t end_seconds = 0;  // since 1970: until, else expires; 0: neither is known
    std::uint32_t earlier = 0;      // seconds that from_earliest is before from; all ones: not known
    std::uint16_t from_high = 0;
    std::uint16_t group = 0;        // 0: none; by set_group()
    std::uint16_t end_ms : 10 = 0;  // behind end_seconds
    std::uint16_t source : 6 = 0;
    std::uint8_t bits = 0;  // of the prefix, of 128
    AssignmentKind kind : 3 = AssignmentKind::kOther;
    bool is_v4 : 1 = false;
    bool in_use : 1 = false;
    bool ended : 1 = false;
    bool in_this_whole : 1 = false;  // the keeper's marks
    bool unconfirmed : 1 = false;
  };
  static_assert(sizeof(Entry) == 32);

  struct New {
    Prefix prefix;
    std::uint8_t source = 0;
    AssignmentKind kind = AssignmentKind::kOther;
    UnixMs from, from_earliest;
    std::optional<UnixMs> expires;
    IdentityTexts texts;
    std::uint16_t group = 0;
  };

  static constexpr std::size_t kMaxSources = 64;  // as `source` has room for

  explicit AssignmentTable(SeededHash hash = SeededHash::random()) : hash_(hash) {}

  // kNone: there are as many already as there may be.
  Index add(const New& assignment);
  [[nodiscard]] Entry& at(Index index) { return blocks_[index / kBlock][index % kBlock]; }
  [[nodiscard]] const Entry& at(Index index) const { return blocks_[index / kBlock][index % kBlock]; }
  [[nodiscard]] Prefix prefix_of(Index index) const;
  [[nodiscard]] static UnixMs from_earliest_of(const Entry& entry) {
    return entry.earlier == kUnknownEarlier ? kUnknownBegin
                                            : entry.from() - std::chrono::seconds(entry.earlier);
  }
  [[nodiscard]] UnixMs from_earliest_of(Index index) const { return from_earliest_of(at(index)); }
  // Until when it was, or will be unless it is renewed.
  [[nodiscard]] std::optional<UnixMs> end_of(Index index) const { return end_of(at(index)); }
  [[nodiscard]] static std::optional<UnixMs> end_of(const Entry& entry) {
    if (entry.end_seconds == 0 && entry.end_ms == 0) return std::nullopt;
    return UnixMs(std::chrono::seconds(entry.end_seconds) + std::chrono::milliseconds(entry.end_ms));
  }
  void set_end(Index index, std::optional<UnixMs> end);
  void set_group(Index index, std::uint16_t group);
  [[nodiscard]] OwnIdentityTexts texts_of(Index index) const { return texts_.at(at(index).texts); }
  void read_texts(const Entry& entry, ShortText& subscriber, ShortText& mac, ShortText& host) const {
    texts_.read(entry.texts, subscriber, mac, host);
  }
  [[nodiscard]] bool has_texts(Index index, const IdentityTexts& texts) const {
    return texts_.are(at(index).texts, texts);
  }

  // It ended then. It is found still, until forget_ended().
  void end(Index index, UnixMs until);
  // Those that ended up to `before`.
  void forget_ended(UnixMs before);

  // Calls `visit(Index)` for each that is of exactly this prefix.
  template <typename Visit>
  void of_prefix(const Prefix& prefix, Visit&& visit) const {
    of_key(prefix.lowest(), static_cast<std::uint8_t>(prefix.length()), visit);
  }
  // A session has no more prefixes; of an id that more have, not all are found.
  static constexpr std::size_t kMostOfId = 17;
  // For each of that group, which is not 0, that has that id.
  template <typename Visit>
  void of_id(std::uint16_t group, std::string_view id, Visit&& visit) const {
    (void)ids_.find(hash_of_id(group, id), [&](Index index) {
      if (at(index).group == group && texts_of(index).id == id) visit(index);
      return false;
    });
  }
  // Whether no other than this, which bring() said, can have the address.
  [[nodiscard]] bool is_alone_of(const Entry* brought, const IpAddress& address) const {
    const bool is_v4 = address.is_v4();
    return brought != nullptr && lengths_[is_v4 ? 1 : 0].size() == 1 && brought->next == kNone &&
           is_of(*brought, address, length_of_one(is_v4));
  }
  // For each whose prefix holds the address, longer prefixes first.
  template <typename Visit>
  void of_address(const IpAddress& address, Visit&& visit) const {
    const bool is_v4 = address.is_v4();
    for (const std::uint8_t length : lengths_[is_v4 ? 1 : 0]) {
      if (length == length_of_one(is_v4))
        of_key(address, length, visit);
      else
        of_prefix(Prefix::of(address, length), visit);
    }
  }
  static constexpr std::size_t kTogether = 32;
  // Brings what of_address() and read_texts() look at into the cache, for each of at most kTogether
  // addresses: memory is waited for once for all of them, not three times for each. Of those only that are
  // assigned by themselves, not as a part of a prefix. Says what each has in the table, probably, for
  // is_alone_of(); null: nothing by itself.
  void bring(std::span<const IpAddress> addresses, std::span<const Entry*, kTogether> brought) const;
  // For each of places `begin` to `end` - 1 that is in use, ended or not.
  template <typename Visit>
  void of_places(Index begin, Index end, Visit&& visit) {
    for (Index index = begin; index < end && index < places_; ++index) {
      if (at(index).in_use) visit(index);
    }
  }
  [[nodiscard]] Index places() const { return places_; }
  // Removes those for which `is_meant(Index)` says so, ended or not; as if they had not been.
  template <typename IsMeant>
  void remove_all(IsMeant&& is_meant) {
    for (Index index = 0; index < places_; ++index) {
      if (!at(index).in_use || !is_meant(index)) continue;
      if (at(index).ended)
        std::erase_if(ended_, [&](const auto& ended) { return ended.second == index; });
      else
        --open_[at(index).source];
      remove(index);
    }
  }
  [[nodiscard]] std::size_t open_of(std::uint8_t source) const { return open_[source]; }
  [[nodiscard]] std::size_t bytes() const;

 private:
  static constexpr Index kBlock = kHugePage / sizeof(Entry);

  [[nodiscard]] std::uint64_t hash_of(const IpAddress& address, std::uint8_t bits) const;
  [[nodiscard]] std::uint64_t hash_of(Index index) const;
  [[nodiscard]] std::uint64_t hash_of_id(std::uint16_t group, std::string_view id) const {
    return hash_.of_text(group, id);
  }
  [[nodiscard]] std::uint64_t hash_of_id(Index index) const {
    return hash_of_id(at(index).group, texts_of(index).id);
  }

  // Of a prefix: its address, and its length.
  template <typename Visit>
  void of_key(const IpAddress& address, std::uint8_t bits, Visit&& visit) const {
    const std::size_t slot = slot_of(address, bits);
    for (Index index = slot == IndexSlots::kNone ? kNone : slots_.at(slot); index != kNone;
         index = at(index).next)
      visit(index);
  }
  [[nodiscard]] static std::uint8_t length_of_one(bool is_v4) { return is_v4 ? 32 : 128; }
  [[nodiscard]] std::size_t slot_of(const IpAddress& address, std::uint8_t bits) const;
  [[nodiscard]] bool is_of(const Entry& entry, const IpAddress& address, std::uint8_t bits) const {
    if (entry.bits != bits || entry.is_v4 != address.is_v4()) return false;
    return entry.is_v4 ? entry.address == address.v4() : v6_[entry.address] == address.bytes();
  }
  void remove(Index index);
  void count(bool is_v4, std::uint8_t bits, bool one_more);

  using Block = std::vector<Entry, HugePageAllocator<Entry>>;

  SeededHash hash_;
  std::vector<Block> blocks_;
  Index places_ = 0;
  Index free_ = kNone;  // the first of a list by `next`
  IndexSlots slots_;    // by prefix; each the first of its
  IndexSlots ids_;      // by group and id, of those that have a group
  std::vector<std::array<std::uint8_t, 16>> v6_;
  std::vector<std::uint32_t> free_v6_;
  AssignmentTexts texts_;
  std::deque<std::pair<UnixMs, Index>> ended_;              // in the order in which they were ended
  std::array<std::array<std::uint32_t, 129>, 2> counts_{};  // how many by length, of IPv6 and of IPv4
  std::array<std::vector<std::uint8_t>, 2> lengths_;        // that occur, the longest first
  std::array<std::uint32_t, kMaxSources> open_{};           // by source
};

}  // namespace natsession
