// GroupedSums: what the records of a scan, or sums that stand ready, add up to for a SumsPlan, group by
// group. What SQLite would not have as an integer, or too many groups, is refused: SQLite has to see the
// records then.
// Threads: one for each object.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ledger/segment_sums.h"
#include "query/scan_batch.h"
#include "query/sums_statement.h"

namespace natsession {

inline constexpr std::uint64_t kSumsMaxInteger = std::numeric_limits<std::int64_t>::max();

// The field that a column of the log is made of.
[[nodiscard]] inline Field sums_field_of(int column) {
  return column == kTimeColumn ? Field::kEndTime : static_cast<Field>(column);
}

// Whether sums that stand ready can answer: of the counters, and by whole minutes.
[[nodiscard]] bool can_be_ready(const SumsPlan& plan);

// What tells groups apart: the numbers of their keys' values, and of the texts of their steps.
using SumsIds = std::array<std::uint32_t, SumsPlan::kMaxKeys>;

// Different values, numbered from 1 on: 0 is NULL.
template <typename Value, typename Hash>
class NumberedValues {
 public:
  std::uint32_t of(const Value& value) {
    const auto [place, is_new] = numbers_.try_emplace(value, static_cast<std::uint32_t>(values_.size() + 1));
    if (is_new) values_.push_back(value);
    return place->second;
  }
  [[nodiscard]] const Value& value(std::uint32_t number) const { return values_[number - 1]; }

 private:
  std::unordered_map<Value, std::uint32_t, Hash> numbers_;
  std::vector<Value> values_;
};

struct SumsAddressHash {
  [[nodiscard]] std::size_t operator()(const IpAddress& address) const {
    std::uint64_t words[2];
    std::memcpy(words, address.bytes().data(), sizeof(words));
    const std::uint64_t hash = (words[0] * 0x9e3779b97f4a7c15 ^ words[1]) * 0xbf58476d1ce4e5b9;
    return hash ^ hash >> 32;
  }
};
using SumsAddresses = NumberedValues<IpAddress, SumsAddressHash>;
using SumsTexts = NumberedValues<std::string, std::hash<std::string>>;

// Where a group's numbers stand: how many records, then of each part what the plan wants of it.
struct SumsLayout {
  struct Part {
    std::size_t count = 0;
    std::size_t sum = 0;       // 0: not wanted
    std::size_t extremes = 0;  // the least, then the most; 0: not wanted
  };
  explicit SumsLayout(const SumsPlan& plan) {
    for (const SumsPlan::Part& part : plan.parts) {
      Part place;
      place.count = empty.size();
      empty.push_back(0);
      if (part.sum) {
        place.sum = empty.size();
        empty.push_back(0);
      }
      if (part.extremes) {
        place.extremes = empty.size();
        empty.push_back(kSumsMaxInteger);
        empty.push_back(kSumsMaxInteger + 1);  // the least of signed ones
      }
      parts.push_back(place);
    }
    size = empty.size();
  }
  std::vector<Part> parts;
  std::vector<std::uint64_t> empty{0};
  std::size_t size = 0;
};

// The groups of one worker. `plan` outlives them.
class GroupedSums {
 public:
  // Of this the answer can have no more, about, in all workers together.
  static constexpr std::size_t kMaxBytes = std::size_t{96} << 20;
  [[nodiscard]] static std::size_t group_bytes(const SumsPlan& plan) {
    return sizeof(SumsIds) + 4 * sizeof(std::uint32_t) + SumsLayout(plan).size * sizeof(std::uint64_t);
  }

  GroupedSums(const SumsPlan& plan, std::size_t max_groups, bool utc);

  // False where SQLite has to see the records: too many groups, or a number that it would not have as one.
  [[nodiscard]] bool add(const ScanBatch& batch);
  [[nodiscard]] bool add(const GroupedSums& other);
  // Sums that stand ready, of a plan that can_be_ready() holds of.
  [[nodiscard]] bool add(SumsKind kind, std::span<const SumsEntry> entries);
  // Sums of a group that a store elsewhere made, whose keys' values a record has: likewise. Without steps.
  [[nodiscard]] bool add(const SessionRecord& key, const Sums& sums);
  // Gap records that are not in a batch. Without steps.
  [[nodiscard]] bool add_gaps(std::uint64_t count);
  [[nodiscard]] std::uint64_t gaps_seen() const { return gaps_seen_; }
  // Whether ready sums leave it open if a sum is one of no values, which is NULL.
  [[nodiscard]] bool unclear() const;
  // Whether the sums that have to be are such that doubles add up to them in any order.
  [[nodiscard]] bool exact() const;

  [[nodiscard]] const SumsLayout& layout() const { return layout_; }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }
  // Of a key's value, or behind the keys of a step's text.
  [[nodiscard]] std::uint32_t id(std::size_t group, std::size_t key) const { return keys_[group][key]; }
  [[nodiscard]] const IpAddress& address(std::size_t key, std::uint32_t id) const {
    return addresses_[key].value(id);
  }
  [[nodiscard]] const std::string& text(std::uint32_t id) const { return texts_.value(id); }
  [[nodiscard]] std::uint64_t number(std::size_t group, std::size_t place) const {
    return numbers_[group * layout_.size + place];
  }

 private:
  using Rows = std::span<const std::uint32_t>;
  static constexpr std::uint32_t kFull = UINT32_MAX;
  struct Moment {
    std::int64_t number = -1;
    std::uint32_t id = 0;
  };

  std::uint32_t place_of(const SumsIds& ids);
  void grow();
  bool add_sums(const SumsIds& ids, const Sums& sums);
  bool add_rows(const ScanBatch& batch, Rows rows, bool gaps);
  bool find_places(const ScanBatch& batch, Rows rows, bool gaps);
  void put_key(const ScanBatch& batch, Rows rows, std::size_t key);
  bool put_step(const ScanBatch& batch, Rows rows, std::size_t step);
  [[nodiscard]] std::uint32_t text_at(std::int64_t ms, const TimeStep& step) {
    return texts_.of(truncated_time_text(step, UnixMs(std::chrono::milliseconds(ms)), utc_));
  }
  void add_part(const ScanBatch& batch, Rows rows, const SumsPlan::Part& part, const SumsLayout::Part& place);
  void add_value(std::uint64_t* numbers, const SumsLayout::Part& place, std::uint64_t value);

  const SumsPlan& plan_;
  const SumsLayout layout_;
  std::size_t max_groups_;
  bool utc_;
  std::vector<SumsIds> keys_;
  std::vector<std::uint64_t> numbers_;
  std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(1024);  // place + 1, or 0
  std::vector<std::uint32_t> place_of_id_;                               // likewise, where there is one key
  std::array<SumsAddresses, SumsPlan::kMaxKeys> addresses_;
  SumsTexts texts_;
  std::vector<std::array<Moment, 256>> moments_;  // of each step, what was asked for last
  bool some_unknown_ = false;                     // ready sums had counters that are not known
  std::uint64_t gaps_seen_ = 0;
  std::uint64_t over_ = 0;  // all that a sum has been, together: the highest bit says that one was too large

  // Of the rows that are looked at.
  std::vector<SumsIds> ids_;
  std::vector<std::uint32_t> places_;
  std::array<std::vector<std::uint32_t>, SumsPlan::kMaxKeys> frame_ids_;  // of a frame's addresses, or 0
  std::vector<std::uint32_t> gap_rows_;
  std::vector<std::uint32_t> session_rows_;
};

}  // namespace natsession
