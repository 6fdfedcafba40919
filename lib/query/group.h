// What the analyses have in common: what is summed up, and what a group is named by.
//
// Traffic is what the records of the question's time carry: a record belongs to it by its end_time
// (Query::ended_within) or by any overlap (Query::overlapping), as the caller asks; no record is cut. A
// session is counted once, if any of its records is in the question: where its record with seq 0 is, if that
// is; where it had begun before, at one of its others. (Where a session's records differ in the field that
// groups them, as in event or tcp_state, one of these groups has it; which one is not said.) Sessions that
// were open when the question's time begins are remembered by their ids; beyond kMaxCarriedOver of them the
// count is too small, and said to be so. A counter that is unknown adds nothing, and is counted in `unknown`.
//
// Threads: plain value types.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "query/query.h"
#include "query/scan_batch.h"

namespace natsession {

enum class SumField : std::uint8_t {
  kBytesFromPub,
  kPktsFromPub,
  kBytesFromVpc,
  kPktsFromVpc,
  kBytes,  // both ways
  kPkts,
  kSessions,
  kRecords,
};
// bytes_from_pub … bytes pkts sessions records.
[[nodiscard]] std::string_view to_string(SumField sum);
// Errors: kUsage, naming the text and the names that would do.
[[nodiscard]] Result<SumField> parse_sum_field(std::string_view name);

struct Sums {
  std::uint64_t bytes_from_pub = 0;
  std::uint64_t pkts_from_pub = 0;
  std::uint64_t bytes_from_vpc = 0;
  std::uint64_t pkts_from_vpc = 0;
  std::uint64_t sessions = 0;
  std::uint64_t records = 0;
  std::uint64_t unknown = 0;  // records with a counter that is not known

  [[nodiscard]] std::uint64_t of(SumField field) const;
  void add(const Sums& other);
  friend bool operator==(const Sums&, const Sums&) = default;
};

// A counter of records, and the sums that it is part of.
struct CounterSum {
  Field field;
  SumField own;
  SumField both;  // both ways
  std::uint64_t Sums::*sum;
};
inline constexpr std::array<CounterSum, 4> kCounterSums{
    {{Field::kBytesFromPub, SumField::kBytesFromPub, SumField::kBytes, &Sums::bytes_from_pub},
     {Field::kPktsFromPub, SumField::kPktsFromPub, SumField::kPkts, &Sums::pkts_from_pub},
     {Field::kBytesFromVpc, SumField::kBytesFromVpc, SumField::kBytes, &Sums::bytes_from_vpc},
     {Field::kPktsFromVpc, SumField::kPktsFromVpc, SumField::kPkts, &Sums::pkts_from_vpc}}};

// Sums end at 2^64 - 1 and stay there.
[[nodiscard]] constexpr std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum < a ? std::numeric_limits<std::uint64_t>::max() : sum;
}

// The value of a field as a group has it: nothing for "none".
using GroupValue = std::variant<std::monostate, std::uint64_t, IpAddress, std::string>;
// As the log's texts have it: words for events, 16 digits for session_id; "-" for none.
[[nodiscard]] std::string to_text(Field field, const GroupValue& value);

inline constexpr std::size_t kMaxGroupFields = 2;
inline constexpr std::size_t kMaxCarriedOver = 4'000'000;

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

class KeyMaker {
 public:
  explicit KeyMaker(std::vector<Field> fields) : fields_(std::move(fields)) {}

  // What a batch must have.
  [[nodiscard]] Columns columns() const;

  // The group of each of the batch's rows; kFull and kElsewhere as place_of() has them. False if there is a
  // kFull.
  bool find_groups(const ScanBatch& batch, GroupTable& table, std::vector<std::uint32_t>& groups);
  [[nodiscard]] std::vector<GroupValue> values_of(const GroupKey& key) const;
  [[nodiscard]] GroupKey key_of(const std::vector<GroupValue>& values);

 private:
  bool find_by_address(const ScanBatch& batch, GroupTable& table, std::vector<std::uint32_t>& groups);
  void set_part(const ScanBatch& batch, std::size_t i, std::size_t part, GroupKey& key);
  void set_value(const FieldValue& value, std::size_t part, GroupKey& key);

  std::vector<Field> fields_;
  std::vector<std::uint64_t> hash_of_address_;
  std::vector<std::uint32_t> place_of_address_;
  // The last text and its label, for the next record.
  std::array<std::string_view, kMaxGroupFields> last_text_;
  std::array<std::string_view, kMaxGroupFields> last_label_;
};

// SessionCounter: which records of a question stand for a session, so that each is counted once: see above.
// Threads: any; it takes a lock once for each batch that needs it.
class SessionCounter {
 public:
  // `oldest`: the end_time of the oldest record that the ledger has.
  SessionCounter(const Query& query, std::optional<UnixMs> oldest);

  // What a batch must have.
  [[nodiscard]] static Columns columns() { return {Field::kSeq, Field::kEvent, Field::kSessionStart}; }

  // For each i below batch.size() that `wanted` says yes to, calls counted(i) if the record stands for a
  // session.
  template <typename Wanted, typename Counted>
  void count(const ScanBatch& batch, Wanted wanted, Counted counted) {
    const auto rows = batch.rows();
    const auto seqs = batch.counters(Field::kSeq);
    const auto events = batch.small(Field::kEvent);
    const auto starts = batch.times(Field::kSessionStart);
    std::vector<std::uint32_t> open_rows;
    std::vector<std::uint32_t> open_places;
    for (std::uint32_t i = 0; i < rows.size(); ++i) {
      const std::uint32_t row = rows[i];
      if (!wanted(i) || events[row] == static_cast<std::uint8_t>(RecordEvent::kGap)) continue;
      const bool first = is_first(seqs[row]);
      if (first && events[row] == static_cast<std::uint8_t>(RecordEvent::kEnd)) {
        counted(i);  // its only record
      } else if (sure_ && starts[row] != kUnknownTime && starts[row] >= begin_ms_) {
        if (first) counted(i);
      } else {
        open_rows.push_back(row);
        open_places.push_back(i);
      }
    }
    if (open_rows.empty()) return;
    for (const std::uint32_t place : first_seen(batch, open_rows, open_places)) counted(place);
  }

  // There were more open sessions than are remembered.
  [[nodiscard]] bool cut() const;
  // Frames that damage keeps from being counted; their sessions may be missing in the count.
  [[nodiscard]] ScanReport report() const;
  // Forgets all: the same question is asked again.
  void restart();

 private:
  std::vector<std::uint32_t> first_seen(const ScanBatch& batch, const std::vector<std::uint32_t>& rows,
                                        const std::vector<std::uint32_t>& places);
  bool insert(std::uint64_t id);

  // Whether a session's first record passes the query's tests if any of its others does.
  bool sure_ = true;
  std::int64_t begin_ms_ = 0;

  mutable std::mutex mutex_;
  std::vector<std::uint64_t> slots_;  // ids; 0 is an empty place
  std::size_t size_ = 0;
  bool has_zero_ = false;  // the id that is 0
  bool cut_ = false;
  ScanReport report_;
};

}  // namespace natsession
