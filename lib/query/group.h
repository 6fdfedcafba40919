// What the analyses have in common: what a group is named by, and the table of groups with their sums
// (record/sums.h).
//
// Traffic is what the records of the question's time carry: a record belongs to it by its end_time
// (Query::ended_within) or by any overlap (Query::overlapping), as the caller asks; no record is cut. A
// session is counted where its first record is, if that one is in the question.
//
// Threads: plain value types.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "query/query.h"
#include "query/scan_batch.h"
#include "query/subscriber_names.h"
#include "record/sums.h"

namespace natsession {

// The value of a field as a group has it: nothing for "none".
using GroupValue = std::variant<std::monostate, std::uint64_t, IpAddress, std::string>;
// As the log's texts have it: words for events, 16 digits for session_id; "-" for none.
[[nodiscard]] std::string to_text(Field field, const GroupValue& value);

inline constexpr std::size_t kMaxGroupFields = 2;

// GroupTable: groups by their keys, each with its sums, in a hash table of bounded size; and KeyMaker, which
// finds the group of each record of a batch.
// Threads: one for each object.

// The values of a group's fields, in a form that can be compared and hashed.
struct GroupKey {
  enum Kind : std::uint8_t { kNone, kNumber, kAddress, kText };
  std::array<std::uint64_t, 2 * kMaxGroupFields> words{};
  std::array<Kind, kMaxGroupFields> kinds{};
  friend bool operator==(const GroupKey&, const GroupKey&) = default;

  void set_number(std::size_t part, std::uint64_t number);
  void set_address(std::size_t part, const IpAddress& address);
  // `label` is interned: equal ones have one address. Null for the texts that are too many to be kept.
  void set_text(std::size_t part, std::string_view label);
  [[nodiscard]] std::uint64_t hash() const;
};

class GroupTable {
 public:
  static constexpr std::uint32_t kFull = UINT32_MAX;
  static constexpr std::uint32_t kElsewhere = kFull - 1;

  // At most `max_groups`. Only keys whose hash is `part` of `parts` belong to this table.
  GroupTable(std::size_t max_groups, unsigned parts, unsigned part);

  // The key's place; kFull if there is no room for it, kElsewhere if it belongs to another part.
  [[nodiscard]] std::uint32_t place_of(const GroupKey& key) { return place_of(key, key.hash()); }
  [[nodiscard]] std::uint32_t place_of(const GroupKey& key, std::uint64_t hash);
  // Says that a key with this hash will be asked for soon: what it needs may come from memory meanwhile.
  void expect(std::uint64_t hash) const {
    const std::uint32_t place = slots_[hash & (slots_.size() - 1)];
    if (place == 0) return;
    const Group& group = chunks_[(place - 1) / kChunk][(place - 1) % kChunk];
    __builtin_prefetch(&group.key);
    __builtin_prefetch(&group.sums);
  }

  void set_limit(std::size_t max_groups) { max_groups_ = max_groups; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const GroupKey& key(std::uint32_t place) const {
    return chunks_[place / kChunk][place % kChunk].key;
  }
  [[nodiscard]] Sums& sums(std::uint32_t place) { return chunks_[place / kChunk][place % kChunk].sums; }

 private:
  struct Group {
    GroupKey key;
    Sums sums;
  };
  static constexpr std::size_t kChunk = 4096;

  void grow();

  std::size_t max_groups_;
  unsigned parts_;
  unsigned part_;
  std::size_t size_ = 0;
  std::vector<std::unique_ptr<Group[]>> chunks_;
  std::vector<std::uint32_t> slots_;  // place + 1, or 0
};

// What stands in place of a field: whose a session was. Where `names` is set, the group's field `part` (which
// is kPriIp) is the label that they have for it.
struct GroupedNames {
  SubscriberNames* names = nullptr;
  std::size_t part = 0;
  [[nodiscard]] bool at(std::size_t other) const { return names != nullptr && part == other; }
};

class KeyMaker {
 public:
  explicit KeyMaker(std::vector<Field> fields, GroupedNames names = {})
      : fields_(std::move(fields)), names_(names) {}

  // What a batch must have.
  [[nodiscard]] Columns columns() const;

  // The group of each of the batch's rows; kFull and kElsewhere as place_of() has them. False if there is a
  // kFull.
  bool find_groups(const ScanBatch& batch, GroupTable& table, std::vector<std::uint32_t>& groups);
  // Of one record that has these fields.
  [[nodiscard]] GroupKey key_of(const SessionRecord& record);
  [[nodiscard]] std::vector<GroupValue> values_of(const GroupKey& key) const;
  [[nodiscard]] GroupKey key_of(const std::vector<GroupValue>& values);

 private:
  bool find_by_address(const ScanBatch& batch, GroupTable& table, std::vector<std::uint32_t>& groups);
  void set_part(const ScanBatch& batch, std::size_t i, std::size_t part, GroupKey& key);
  void set_value(const FieldValue& value, std::size_t part, GroupKey& key);

  std::vector<Field> fields_;
  GroupedNames names_;
  std::vector<std::uint64_t> hash_of_address_;
  std::vector<std::uint32_t> place_of_address_;
  // The last text and its label, for the next record.
  std::array<std::string_view, kMaxGroupFields> last_text_;
  std::array<std::string_view, kMaxGroupFields> last_label_;
};

}  // namespace natsession
