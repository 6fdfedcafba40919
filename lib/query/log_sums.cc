#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <sqlite3.h>

#include "query/log_constraints.h"
#include "query/ready_sums.h"
#include "query/sql_functions.h"
#include "query/sums_statement.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{96} << 20;  // of all groups, about
constexpr std::uint64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMaxExact = std::uint64_t{1} << 53;  // doubles have all integers up to it
constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kLatestMs = 253'402'300'799'000;  // date_trunc() takes none behind it

// What tells groups apart: the numbers of their keys' values, and of the texts of their steps.
using Ids = std::array<std::uint32_t, SumsPlan::kMaxKeys>;

std::size_t hash_of(const Ids& ids) {
  static_assert(sizeof(Ids) == 16);
  std::uint64_t words[2];
  std::memcpy(words, ids.data(), sizeof(words));
  std::uint64_t hash = words[0] * 0x9e3779b97f4a7c15;
  hash = (hash ^ hash >> 32 ^ words[1]) * 0xbf58476d1ce4e5b9;
  return hash ^ hash >> 29;
}

// Different values, numbered from 1 on: 0 is NULL.
template <typename Value, typename Hash>
class Numbered {
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

struct AddressHash {
  [[nodiscard]] std::size_t operator()(const IpAddress& address) const {
    std::uint64_t words[2];
    std::memcpy(words, address.bytes().data(), sizeof(words));
    const std::uint64_t hash = (words[0] * 0x9e3779b97f4a7c15 ^ words[1]) * 0xbf58476d1ce4e5b9;
    return hash ^ hash >> 32;
  }
};
using Addresses = Numbered<IpAddress, AddressHash>;
using Texts = Numbered<std::string, std::hash<std::string>>;

bool has_whole_minutes(const TimeStep& step) {
  if (step.span.count() == 0) return step.unit != TimeUnit::kSecond;
  return step.span % std::chrono::milliseconds(kMinuteMs) == step.span.zero();
}

// Whether sums that stand ready can answer: of the counters, and by whole minutes.
bool can_be_ready(const SumsPlan& plan) {
  const auto is_ready = [](const SumsPlan::Part& part) {
    return !part.extremes &&
           std::any_of(kCounterSums.begin(), kCounterSums.end(), [&](const CounterSum& counter) {
             return static_cast<int>(counter.field) == part.column;
           });
  };
  return std::all_of(plan.parts.begin(), plan.parts.end(), is_ready) &&
         std::all_of(plan.steps.begin(), plan.steps.end(), has_whole_minutes);
}

Field field_of(int column) {
  return column == kTimeColumn ? Field::kEndTime : static_cast<Field>(column);
}

// Where a group's numbers stand: how many records, then of each part what the plan wants of it.
struct Layout {
  struct Part {
    std::size_t count = 0;
    std::size_t sum = 0;       // 0: not wanted
    std::size_t extremes = 0;  // the least, then the most; 0: not wanted
  };
  explicit Layout(const SumsPlan& plan) {
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
        empty.push_back(kMaxInteger);
        empty.push_back(kMaxInteger + 1);  // the least of signed ones
      }
      parts.push_back(place);
    }
    size = empty.size();
  }
  std::vector<Part> parts;
  std::vector<std::uint64_t> empty{0};
  std::size_t size = 0;
};

// The groups of one worker.
class GroupedSums {
 public:
  GroupedSums(const SumsPlan& plan, std::size_t max_groups, bool utc);

  // False where SQLite has to see the records: too many groups, or a number that it would not have as one.
  [[nodiscard]] bool add(const ScanBatch& batch);
  [[nodiscard]] bool add(const GroupedSums& other);
  // Sums that stand ready, of a plan that can_be_ready() holds of.
  [[nodiscard]] bool add(SumsKind kind, std::span<const SumsEntry> entries);
  // Gap records that are not in a batch. Without steps.
  [[nodiscard]] bool add_gaps(std::uint64_t count);
  [[nodiscard]] std::uint64_t gaps_seen() const { return gaps_seen_; }
  // Whether ready sums leave it open if a sum is one of no values, which is NULL.
  [[nodiscard]] bool unclear() const;
  // Whether the sums that have to be are such that doubles add up to them in any order.
  [[nodiscard]] bool exact() const;

  [[nodiscard]] const Layout& layout() const { return layout_; }
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

  std::uint32_t place_of(const Ids& ids);
  void grow();
  bool add_rows(const ScanBatch& batch, Rows rows, bool gaps);
  bool find_places(const ScanBatch& batch, Rows rows, bool gaps);
  void put_key(const ScanBatch& batch, Rows rows, std::size_t key);
  bool put_step(const ScanBatch& batch, Rows rows, std::size_t step);
  [[nodiscard]] std::uint32_t text_at(std::int64_t ms, const TimeStep& step) {
    return texts_.of(truncated_time_text(step, UnixMs(std::chrono::milliseconds(ms)), utc_));
  }
  void add_part(const ScanBatch& batch, Rows rows, const SumsPlan::Part& part, const Layout::Part& place);
  void add_value(std::uint64_t* numbers, const Layout::Part& place, std::uint64_t value);

  const SumsPlan& plan_;
  const Layout layout_;
  std::size_t max_groups_;
  bool utc_;
  std::vector<Ids> keys_;
  std::vector<std::uint64_t> numbers_;
  std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(1024);  // place + 1, or 0
  std::vector<std::uint32_t> place_of_id_;                               // likewise, where there is one key
  std::array<Addresses, SumsPlan::kMaxKeys> addresses_;
  Texts texts_;
  std::vector<std::array<Moment, 256>> moments_;  // of each step, what was asked for last
  bool some_unknown_ = false;                     // ready sums had counters that are not known
  std::uint64_t gaps_seen_ = 0;
  std::uint64_t over_ = 0;  // all that a sum has been, together: the highest bit says that one was too large

  // Of the rows that are looked at.
  std::vector<Ids> ids_;
  std::vector<std::uint32_t> places_;
  std::array<std::vector<std::uint32_t>, SumsPlan::kMaxKeys> frame_ids_;  // of a frame's addresses, or 0
  std::vector<std::uint32_t> gap_rows_;
  std::vector<std::uint32_t> session_rows_;
};

GroupedSums::GroupedSums(const SumsPlan& plan, std::size_t max_groups, bool utc)
    : plan_(plan), layout_(plan), max_groups_(max_groups), utc_(utc), moments_(plan.steps.size()) {
  if (plan.keys.empty() && plan.steps.empty()) place_of({});
}

void GroupedSums::grow() {
  std::vector<std::uint32_t> slots(slots_.size() * 2);
  for (std::size_t place = 0; place < keys_.size(); ++place) {
    std::size_t slot = hash_of(keys_[place]) & (slots.size() - 1);
    while (slots[slot] != 0) slot = (slot + 1) & (slots.size() - 1);
    slots[slot] = static_cast<std::uint32_t>(place) + 1;
  }
  slots_ = std::move(slots);
}

std::uint32_t GroupedSums::place_of(const Ids& ids) {
  std::size_t slot = hash_of(ids) & (slots_.size() - 1);
  for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    if (keys_[slots_[slot] - 1] == ids) return slots_[slot] - 1;
  }
  if (keys_.size() == max_groups_) return kFull;
  keys_.push_back(ids);
  numbers_.insert(numbers_.end(), layout_.empty.begin(), layout_.empty.end());
  slots_[slot] = static_cast<std::uint32_t>(keys_.size());
  if (keys_.size() * 2 > slots_.size()) grow();
  return static_cast<std::uint32_t>(keys_.size() - 1);
}

bool GroupedSums::add(const ScanBatch& batch) {
  for (auto& ids : frame_ids_) ids.clear();
  if (!batch.may_have_gaps()) return add_rows(batch, batch.rows(), /*gaps=*/false);
  gap_rows_.clear();
  session_rows_.clear();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    (batch.is_gap(i) ? gap_rows_ : session_rows_).push_back(batch.rows()[i]);
  }
  gaps_seen_ += gap_rows_.size();
  return add_rows(batch, session_rows_, /*gaps=*/false) && add_rows(batch, gap_rows_, /*gaps=*/true);
}

bool GroupedSums::add_rows(const ScanBatch& batch, Rows rows, bool gaps) {
  constexpr std::size_t kChunk = 2048;  // the groups of so many are near while their parts are added
  for (std::size_t begin = 0; begin < rows.size(); begin += kChunk) {
    const Rows chunk = rows.subspan(begin, std::min(kChunk, rows.size() - begin));
    if (!find_places(batch, chunk, gaps)) return false;
    for (const std::uint32_t place : places_) ++numbers_[place * layout_.size];
    for (std::size_t i = 0; i < plan_.parts.size(); ++i) {
      if (!gaps || spec_of(field_of(plan_.parts[i].column)).in_gap)
        add_part(batch, chunk, plan_.parts[i], layout_.parts[i]);
    }
  }
  return over_ <= kMaxInteger;
}

// Into places_.
bool GroupedSums::find_places(const ScanBatch& batch, Rows rows, bool gaps) {
  places_.assign(rows.size(), 0);
  const std::size_t width = plan_.keys.size() + plan_.steps.size();
  if (width == 0) return true;
  ids_.assign(rows.size(), {});
  for (std::size_t key = 0; key < plan_.keys.size(); ++key) {
    if (!gaps || spec_of(plan_.keys[key]).in_gap) put_key(batch, rows, key);
  }
  for (std::size_t step = 0; step < plan_.steps.size(); ++step) {
    if (!put_step(batch, rows, step)) return false;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i > 0 && ids_[i] == ids_[i - 1]) {
      places_[i] = places_[i - 1];
      continue;
    }
    if (width > 1) {
      places_[i] = place_of(ids_[i]);
    } else {
      const std::uint32_t id = ids_[i][0];
      if (id >= place_of_id_.size()) place_of_id_.resize(std::size_t{id} * 2 + 64);
      if (place_of_id_[id] == 0) place_of_id_[id] = place_of(ids_[i]) + 1;
      places_[i] = place_of_id_[id] - 1;
    }
    if (places_[i] == kFull) return false;
  }
  return true;
}

void GroupedSums::put_key(const ScanBatch& batch, Rows rows, std::size_t key) {
  const Field field = plan_.keys[key];
  const FieldSpec& spec = spec_of(field);
  if (spec.stored == Stored::kAddresses) {
    const AddressColumn& column = batch.addresses(field);
    auto& ids = frame_ids_[key];
    if (ids.empty()) ids.resize(column.distinct.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::size_t index = column.index[rows[i]];
      if (ids[index] == 0) ids[index] = addresses_[key].of(column.distinct[index]);
      ids_[i][key] = ids[index];
    }
  } else if (spec.stored == Stored::kPorts) {
    const auto column = batch.ports(field);
    for (std::size_t i = 0; i < rows.size(); ++i) ids_[i][key] = column[rows[i]] + 1U;
  } else {
    const auto column = batch.small(field);
    std::array<std::uint32_t, 256> ids;
    for (std::uint32_t value = 0; value < ids.size(); ++value)
      ids[value] = spec.word == nullptr || !spec.word(value).empty() ? value + 1 : 0;
    for (std::size_t i = 0; i < rows.size(); ++i) ids_[i][key] = ids[column[rows[i]]];
  }
}

bool GroupedSums::put_step(const ScanBatch& batch, Rows rows, std::size_t step) {
  const TimeStep& unit = plan_.steps[step];
  const std::int64_t length = has_whole_minutes(unit) ? kMinuteMs : 1000;
  const std::size_t key = plan_.keys.size() + step;
  const auto times = batch.times(Field::kEndTime);
  auto& moments = moments_[step];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t time = times[rows[i]];
    if (time < 0 || time > kLatestMs) return false;  // date_trunc() refuses such a time
    const std::int64_t number = time / length;
    Moment& known = moments[static_cast<std::size_t>(number) % moments.size()];
    if (known.number != number) {
      known = {number, text_at(number * length, unit)};
    }
    ids_[i][key] = known.id;
  }
  return true;
}

// Numbers are signed ones, as SQLite's: a bit pattern is all that is kept of them.
void GroupedSums::add_value(std::uint64_t* numbers, const Layout::Part& place, std::uint64_t value) {
  ++numbers[place.count];
  if (place.sum != 0) {
    numbers[place.sum] += value;  // of two that are no more than kMaxInteger, so it does not wrap
    over_ |= numbers[place.sum] | value;
  }
  if (place.extremes != 0) {
    auto& least = numbers[place.extremes];
    auto& most = numbers[place.extremes + 1];
    const auto number = static_cast<std::int64_t>(value);
    if (number < static_cast<std::int64_t>(least)) least = value;
    if (number > static_cast<std::int64_t>(most)) most = value;
  }
}

void GroupedSums::add_part(const ScanBatch& batch, Rows rows, const SumsPlan::Part& part,
                           const Layout::Part& place) {
  const Field field = field_of(part.column);
  std::uint64_t* const numbers = numbers_.data();
  if (spec_of(field).stored == Stored::kTimes) {
    const auto column = batch.times(field);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::int64_t time = column[rows[i]];
      if (time == kUnknownTime && field == Field::kSessionStart) continue;
      add_value(numbers + places_[i] * layout_.size, place, static_cast<std::uint64_t>(time));
    }
    return;
  }
  const auto column = batch.counters(field);
  if (part.sum && !part.extremes) {  // most are so
    std::uint64_t over = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::uint64_t value = column[rows[i]];
      const bool known = value != kUnknownCount;
      std::uint64_t* const group = numbers + places_[i] * layout_.size;
      group[place.count] += known ? 1 : 0;
      group[place.sum] += known ? value : 0;
      over |= group[place.sum] | (known ? value : 0);
    }
    over_ |= over;
    return;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint64_t value = column[rows[i]];
    if (value == kUnknownCount) continue;
    over_ |= value;
    add_value(numbers + places_[i] * layout_.size, place, value);
  }
}

bool GroupedSums::add(const GroupedSums& other) {
  const std::size_t width = plan_.keys.size() + plan_.steps.size();
  for (std::size_t group = 0; group < other.size(); ++group) {
    Ids ids = other.keys_[group];
    for (std::size_t key = 0; key < width; ++key) {
      if (ids[key] == 0) continue;
      if (key >= plan_.keys.size()) {
        ids[key] = texts_.of(other.text(ids[key]));
      } else if (spec_of(plan_.keys[key]).stored == Stored::kAddresses) {
        ids[key] = addresses_[key].of(other.address(key, ids[key]));
      }
    }
    const std::uint32_t place = place_of(ids);
    if (place == kFull) return false;
    std::uint64_t* const to = &numbers_[place * layout_.size];
    const std::uint64_t* const from = &other.numbers_[group * layout_.size];
    to[0] += from[0];
    for (const Layout::Part& part : layout_.parts) {
      to[part.count] += from[part.count];
      if (part.sum != 0) over_ |= to[part.sum] += from[part.sum];
      if (part.extremes == 0) continue;
      const auto number = [](std::uint64_t bits) { return static_cast<std::int64_t>(bits); };
      for (const std::size_t at : {part.extremes, part.extremes + 1}) {
        if ((number(from[at]) < number(to[at])) == (at == part.extremes)) to[at] = from[at];
      }
    }
  }
  some_unknown_ = some_unknown_ || other.some_unknown_;
  gaps_seen_ += other.gaps_seen_;
  return over_ <= kMaxInteger;
}

bool GroupedSums::add(SumsKind kind, std::span<const SumsEntry> entries) {
  if (!plan_.steps.empty() && !is_by_minute(kind)) return false;
  for (const SumsEntry& entry : entries) {
    Ids ids{};
    if (!plan_.keys.empty())
      ids[0] = is_by_minute(kind) ? entry.key.protocol() + 1U : addresses_[0].of(entry.key.address());
    for (std::size_t step = 0; step < plan_.steps.size(); ++step) {
      const std::int64_t begin = entry.period * kMinuteMs;
      if (begin < 0 || begin > kLatestMs) return false;
      Moment& known = moments_[step][static_cast<std::size_t>(entry.period) % moments_[step].size()];
      if (known.number != entry.period) known = {entry.period, text_at(begin, plan_.steps[step])};
      ids[plan_.keys.size() + step] = known.id;
    }
    const std::uint32_t place = place_of(ids);
    if (place == kFull) return false;
    std::uint64_t* const numbers = &numbers_[place * layout_.size];
    numbers[0] += entry.sums.records;
    some_unknown_ = some_unknown_ || entry.sums.unknown > 0;
    for (std::size_t i = 0; i < plan_.parts.size(); ++i) {
      if (plan_.parts[i].counted && entry.sums.unknown > 0) return false;
      // Of no counter more than these are unknown.
      numbers[layout_.parts[i].count] +=
          entry.sums.records - std::min(entry.sums.records, entry.sums.unknown);
      if (layout_.parts[i].sum == 0) continue;
      for (const CounterSum& counter : kCounterSums) {
        if (static_cast<int>(counter.field) != plan_.parts[i].column) continue;
        const std::uint64_t sum = entry.sums.*counter.sum;
        numbers[layout_.parts[i].sum] += sum;
        over_ |= sum | numbers[layout_.parts[i].sum];
      }
    }
    if (over_ > kMaxInteger) return false;
  }
  return true;
}

bool GroupedSums::add_gaps(std::uint64_t count) {
  if (count == 0) return true;
  const std::uint32_t place = place_of({});
  if (place == kFull) return false;
  numbers_[place * layout_.size] += count;
  return true;
}

bool GroupedSums::unclear() const {
  if (!some_unknown_) return false;
  for (std::size_t group = 0; group < size(); ++group) {
    for (const Layout::Part& part : layout_.parts) {
      if (number(group, part.count) == 0 && (plan_.keys.empty() || id(group, 0) != 0)) return true;
    }
  }
  return false;
}

bool GroupedSums::exact() const {
  for (std::size_t i = 0; i < plan_.parts.size(); ++i) {
    std::uint64_t total = 0;
    for (std::size_t group = 0; group < size() && plan_.parts[i].exact && total <= kMaxExact; ++group)
      total += number(group, layout_.parts[i].sum);
    if (total > kMaxExact) return false;
  }
  return true;
}

// ---- the table

// Strict, where SQLite does not look again.
enum class TimeTest : char { kEqual = '=', kAbove = '>', kAtLeast = 'g', kBelow = '<', kAtMost = 'l' };

std::optional<TimeTest> time_test_of(const sqlite3_index_info* info, int constraint) {
  const auto& wanted = info->aConstraint[constraint];
  const bool time = wanted.iColumn == kTimeColumn || wanted.iColumn == static_cast<int>(Field::kEndTime) ||
                    wanted.iColumn == static_cast<int>(Field::kStartTime);
  if (!time || wanted.usable == 0) return std::nullopt;
  switch (wanted.op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
      return TimeTest::kEqual;
    case SQLITE_INDEX_CONSTRAINT_GT:
      return TimeTest::kAbove;
    case SQLITE_INDEX_CONSTRAINT_GE:
      return TimeTest::kAtLeast;
    case SQLITE_INDEX_CONSTRAINT_LT:
      return TimeTest::kBelow;
    case SQLITE_INDEX_CONSTRAINT_LE:
      return TimeTest::kAtMost;
    default:
      return std::nullopt;
  }
}

// The first ms whose seconds, as the column has them, are at least `seconds`, or above them.
std::int64_t first_ms(int column, double seconds, bool above) {
  if (column == kTimeColumn)
    return static_cast<std::int64_t>(above ? std::floor(seconds) + 1 : std::ceil(seconds)) * 1000;
  const auto passes = [&](std::int64_t ms) {
    const double value = static_cast<double>(ms) / 1000;
    return above ? value > seconds : value >= seconds;
  };
  std::int64_t ms = std::llround(seconds * 1000);
  while (passes(ms - 1)) --ms;
  while (!passes(ms)) ++ms;
  return ms;
}

// False for what cannot be told of ms.
bool add_time_test(int column, TimeTest test, sqlite3_value* value, Query& query) {
  const int type = sqlite3_value_type(value);
  const double seconds = sqlite3_value_double(value);
  constexpr double kLimit = 1e12;
  if ((type != SQLITE_INTEGER && type != SQLITE_FLOAT) || !(seconds > -kLimit && seconds < kLimit))
    return false;
  TimeRange& range = column == static_cast<int>(Field::kStartTime) ? query.start : query.end;
  const auto at = [](std::int64_t ms) { return UnixMs(std::chrono::milliseconds(ms)); };
  if (test != TimeTest::kBelow && test != TimeTest::kAtMost) {
    const UnixMs from = at(first_ms(column, seconds, test == TimeTest::kAbove));
    range.from = std::max(range.from.value_or(from), from);
  }
  if (test != TimeTest::kAbove && test != TimeTest::kAtLeast) {
    const UnixMs until = at(first_ms(column, seconds, test != TimeTest::kBelow) - 1);
    range.until = std::min(range.until.value_or(until), until);
  }
  return true;
}

// One pass over the groups.
class SumsCursor : public sqlite3_vtab_cursor {
 public:
  explicit SumsCursor(SqlContext& context) : sqlite3_vtab_cursor(), context_(context) {}

  // SQLite's codes; SqlContext::error says more.
  int begin(const char* plan, std::span<sqlite3_value*> values);
  void advance() { ++group_; }
  [[nodiscard]] bool at_end() const { return !sums_ || group_ == sums_->size(); }
  int give(int column, sqlite3_context* result) const;
  [[nodiscard]] sqlite3_int64 row_id() const { return static_cast<sqlite3_int64>(group_); }

 private:
  using Workers = std::vector<GroupedSums>;
  int add_up(const Query& query, bool may_be_ready);
  [[nodiscard]] Workers make_workers() const;
  // What stands ready of the answer. Nothing if records alone can tell.
  std::shared_ptr<const ReadyPart> add_ready(const Query& query, Workers& workers, std::string& note) const;
  // Lets the session ask the records instead.
  int give_up() const {
    context_.sums_gave_up = true;
    return SQLITE_ERROR;
  }
  int give_key(std::size_t key, sqlite3_context* result) const;
  int give_part(std::size_t part, SumsValue value, sqlite3_context* result) const;

  SqlContext& context_;
  std::optional<GroupedSums> sums_;
  std::size_t group_ = 0;
};

int SumsCursor::begin(const char* plan, std::span<sqlite3_value*> values) {
  sums_.reset();
  group_ = 0;
  if (context_.sums == nullptr) return SQLITE_MISUSE;
  Query query;
  query.gap_records = !context_.sums->no_gaps;
  const LogPlan constraints = decode_plan(plan);
  for (std::size_t i = 0; i < constraints.constraints.size() && i < values.size(); ++i) {
    const LogConstraint& constraint = constraints.constraints[i];
    const bool time = constraint.column == kTimeColumn ||
                      kind_of(static_cast<Field>(constraint.column)) == FieldKind::kTime;
    if (time) {
      const auto test = static_cast<TimeTest>(constraint.comparison);
      if (!add_time_test(constraint.column, test, values[i], query)) return give_up();
      continue;
    }
    const auto possible = add_constraint(constraint, values[i], query);
    if (!possible || !*possible) return give_up();  // the other way has the words, and is as soon done
  }
  for (const Field field : context_.sums->keys) query.columns.add(field);
  for (const SumsPlan::Part& part : context_.sums->parts) query.columns.add(field_of(part.column));
  if (!context_.sums->steps.empty()) query.columns.add(Field::kEndTime);
  return add_up(query, /*may_be_ready=*/true);
}

SumsCursor::Workers SumsCursor::make_workers() const {
  const unsigned threads = Scan::threads_of(context_.control);
  const SumsPlan& plan = *context_.sums;
  const std::size_t group_bytes = sizeof(Ids) + 4 * sizeof(std::uint32_t) + Layout(plan).size * 8;
  Workers workers;
  workers.reserve(threads);
  for (unsigned i = 0; i < threads; ++i)
    workers.emplace_back(plan, kMaxBytes / group_bytes / threads, context_.utc);
  return workers;
}

std::shared_ptr<const ReadyPart> SumsCursor::add_ready(const Query& query, Workers& workers,
                                                       std::string& note) const {
  if (!can_be_ready(*context_.sums)) return nullptr;
  const auto ready = ReadySums::by_end(query, context_.sums->keys);
  if (!ready) return nullptr;
  std::atomic<bool> fits = true;
  auto part = ready->read(
      context_.ledger, context_.control,
      [&](unsigned worker, SumsKind kind, std::span<const SumsEntry> entries) {
        if (fits && !workers[worker].add(kind, entries)) fits = false;
      },
      note);
  if (!fits || part == nullptr) {
    workers = make_workers();
    note.clear();
    return nullptr;
  }
  // When gaps were is in the records.
  const bool gaps = std::any_of(part->segments.begin(), part->segments.end(),
                                [](const ReadyPart::Segment& segment) { return !segment.gaps.empty(); });
  if (gaps && query.gap_records && !context_.sums->steps.empty()) {
    workers = make_workers();
    return nullptr;
  }
  return part;
}

int SumsCursor::add_up(const Query& wanted, bool may_be_ready) {
  Workers workers = make_workers();
  std::string note;
  Query query = wanted;
  if (may_be_ready) query.ready = add_ready(query, workers, note);
  const bool sessions_only =
      !query.gap_records || !query.where.empty();  // a gap record has none of the values
  std::atomic<bool> gave_up = false;
  Scan scan(context_.ledger, query, context_.control);
  scan.run([&](unsigned worker, const ScanBatch& batch) {
    if (gave_up.load(std::memory_order_relaxed) || workers[worker].add(batch)) return;
    gave_up = true;
    scan.give_up();
  });
  GroupedSums& all = workers[0];
  for (std::size_t i = 1; i < workers.size() && !gave_up; ++i) gave_up = !all.add(workers[i]);
  ScanReport report = scan.report();
  if (query.ready && !sessions_only && !gave_up && report.gap_count > all.gaps_seen())
    gave_up = !all.add_gaps(report.gap_count - all.gaps_seen());
  if (!gave_up && all.unclear()) return add_up(wanted, /*may_be_ready=*/false);
  if (gave_up || !all.exact()) return give_up();
  report.note = note;
  context_.report.merge(report);
  if (auto good = scan.error(); !good) {
    context_.error = good.error();
    return SQLITE_ERROR;
  }
  if (report.cancelled) return SQLITE_INTERRUPT;
  sums_.emplace(std::move(all));
  // Without GROUP BY there is a group of nothing, which is no row.
  if (sums_->size() == 1 && sums_->number(0, 0) == 0) group_ = 1;
  return SQLITE_OK;
}

int SumsCursor::give(int column, sqlite3_context* result) const {
  const SumsPlan& plan = *context_.sums;
  if (column < kTimeColumn) {
    const auto key = std::find(plan.keys.begin(), plan.keys.end(), static_cast<Field>(column));
    if (key != plan.keys.end()) return give_key(static_cast<std::size_t>(key - plan.keys.begin()), result);
  } else if (column == kSumsRecords) {
    sqlite3_result_int64(result, static_cast<sqlite3_int64>(sums_->number(group_, 0)));
    return SQLITE_OK;
  } else if (column >= kSumsParts) {
    const auto place = static_cast<std::size_t>(column - kSumsParts);
    const std::size_t part = place / kSumsValues;
    if (part < plan.parts.size()) return give_part(part, static_cast<SumsValue>(place % kSumsValues), result);
  } else if (column >= kSumsSteps) {
    const auto step = static_cast<std::size_t>(column - kSumsSteps);
    if (step < plan.steps.size()) {
      const std::string& text = sums_->text(sums_->id(group_, plan.keys.size() + step));
      sqlite3_result_text64(result, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
      return SQLITE_OK;
    }
  }
  // SQLite wants to look itself at what the scan has seen to.
  return give_up();
}

int SumsCursor::give_key(std::size_t key, sqlite3_context* result) const {
  const std::uint32_t id = sums_->id(group_, key);
  if (id == 0) return SQLITE_OK;  // NULL
  const FieldSpec& spec = spec_of(context_.sums->keys[key]);
  if (spec.stored == Stored::kAddresses) {
    std::array<char, IpAddress::kMaxTextLength> text;
    const char* const end = sums_->address(key, id).write(text.data());
    sqlite3_result_text64(result, text.data(), static_cast<sqlite3_uint64>(end - text.data()),
                          SQLITE_TRANSIENT, SQLITE_UTF8);
  } else if (spec.word != nullptr) {
    const std::string_view word = spec.word(id - 1);
    sqlite3_result_text64(result, word.data(), word.size(), SQLITE_STATIC, SQLITE_UTF8);
  } else {
    sqlite3_result_int64(result, id - 1);
  }
  return SQLITE_OK;
}

int SumsCursor::give_part(std::size_t part, SumsValue value, sqlite3_context* result) const {
  const Layout::Part& place = sums_->layout().parts[part];
  const std::uint64_t count = sums_->number(group_, place.count);
  const bool most = value == SumsValue::kMost;
  if (value == SumsValue::kCount) {
    sqlite3_result_int64(result, static_cast<sqlite3_int64>(count));
    return SQLITE_OK;
  }
  if (count == 0) return SQLITE_OK;  // NULL
  const std::size_t at = value == SumsValue::kSum ? place.sum : place.extremes + (most ? 1 : 0);
  const auto number = static_cast<std::int64_t>(sums_->number(group_, at));
  const int column = context_.sums->parts[part].column;
  if (column == kTimeColumn) {
    sqlite3_result_int64(result, number / 1000 - (number % 1000 < 0 ? 1 : 0));
  } else if (kind_of(static_cast<Field>(column)) == FieldKind::kTime) {
    sqlite3_result_double(result, static_cast<double>(number) / 1000);
  } else {
    sqlite3_result_int64(result, number);
  }
  return SQLITE_OK;
}

struct SumsTable : sqlite3_vtab {
  explicit SumsTable(SqlContext& shared) : sqlite3_vtab(), context(&shared) {}
  SqlContext* context;
};

SumsCursor& sums_cursor(sqlite3_vtab_cursor* cursor) {
  return *static_cast<SumsCursor*>(cursor);
}

// What is no column of the log has no type, as an expression has none.
std::string sums_declaration() {
  std::string text = "CREATE TABLE log_sums(";
  for (const FieldSpec& spec : kFields) text += fmt::format("{} {}, ", spec.name, sql_type(spec.kind));
  text += fmt::format("{} INTEGER, sums_records", kTimeColumnName);
  for (std::size_t i = 0; i < SumsPlan::kMaxKeys; ++i) text += fmt::format(", sums_step{}", i);
  for (std::size_t i = 0; i < SumsPlan::kMaxParts; ++i)
    text += fmt::format(", sums_count{0}, sums_sum{0}, sums_least{0}, sums_most{0}", i);
  return text + ")";
}

int connect_sums(sqlite3* database, void* shared, int, const char* const*, sqlite3_vtab** table, char**) {
  const int code = sqlite3_declare_vtab(database, sums_declaration().c_str());
  if (code != SQLITE_OK) return code;
  *table = new (std::nothrow) SumsTable(*static_cast<SqlContext*>(shared));
  return *table != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int disconnect_sums(sqlite3_vtab* table) {
  delete static_cast<SumsTable*>(table);
  return SQLITE_OK;
}

int best_sums_index(sqlite3_vtab* table, sqlite3_index_info* info) {
  const bool other_collations = static_cast<SumsTable*>(table)->context->other_collations;
  std::vector<LogConstraint> used;
  const auto use = [&](int i, Comparison comparison) {
    used.push_back({info->aConstraint[i].iColumn, comparison});
    info->aConstraintUsage[i].argvIndex = static_cast<int>(used.size());
  };
  // SQLite can be told not to look again for the first sixteen only.
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto test = time_test_of(info, i);
    if (!test || sqlite3_vtab_in(info, i, -1) != 0) continue;
    use(i, static_cast<Comparison>(*test));
    info->aConstraintUsage[i].omit = 1;
  }
  for (int i = 0; i < info->nConstraint; ++i) {
    if (time_test_of(info, i)) continue;
    const auto comparison = usable_comparison(info, i, other_collations);
    if (!comparison || *comparison == Comparison::kAtLeast || *comparison == Comparison::kAtMost) continue;
    use(i, *comparison);
    if (*comparison == Comparison::kIn) sqlite3_vtab_in(info, i, 1);
    if (*comparison == Comparison::kInPrefix) info->aConstraintUsage[i].omit = 1;
  }
  const std::string plan = encode_plan(info->colUsed, used);
  info->idxStr = static_cast<char*>(sqlite3_malloc64(plan.size() + 1));
  if (info->idxStr == nullptr) return SQLITE_NOMEM;
  std::memcpy(info->idxStr, plan.c_str(), plan.size() + 1);
  info->needToFreeIdxStr = 1;
  info->estimatedCost = 1e6;
  return SQLITE_OK;
}

int open_sums(sqlite3_vtab* table, sqlite3_vtab_cursor** cursor) {
  *cursor = new (std::nothrow) SumsCursor(*static_cast<SumsTable*>(table)->context);
  return *cursor != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int close_sums(sqlite3_vtab_cursor* cursor) {
  delete &sums_cursor(cursor);
  return SQLITE_OK;
}

int filter_sums(sqlite3_vtab_cursor* cursor, int, const char* plan, int count, sqlite3_value** values) {
  return sums_cursor(cursor).begin(plan, {values, static_cast<std::size_t>(count)});
}

int next_sums(sqlite3_vtab_cursor* cursor) {
  sums_cursor(cursor).advance();
  return SQLITE_OK;
}

int at_sums_end(sqlite3_vtab_cursor* cursor) {
  return sums_cursor(cursor).at_end() ? 1 : 0;
}

int sums_column(sqlite3_vtab_cursor* cursor, sqlite3_context* result, int number) {
  return sums_cursor(cursor).give(number, result);
}

int sums_row_id(sqlite3_vtab_cursor* cursor, sqlite3_int64* id) {
  *id = sums_cursor(cursor).row_id();
  return SQLITE_OK;
}

int find_sums_function(sqlite3_vtab*, int arguments, const char* name,
                       void (**function)(sqlite3_context*, int, sqlite3_value**), void** data) {
  if (arguments != 2 || sqlite3_stricmp(name, "in_prefix") != 0) return 0;
  *function = in_prefix_function;
  *data = nullptr;
  return SQLITE_INDEX_CONSTRAINT_FUNCTION;
}

const sqlite3_module kSumsModule = [] {
  sqlite3_module module{};
  module.iVersion = 1;
  module.xConnect = connect_sums;
  module.xDisconnect = disconnect_sums;
  module.xDestroy = disconnect_sums;
  module.xBestIndex = best_sums_index;
  module.xOpen = open_sums;
  module.xClose = close_sums;
  module.xFilter = filter_sums;
  module.xNext = next_sums;
  module.xEof = at_sums_end;
  module.xColumn = sums_column;
  module.xRowid = sums_row_id;
  module.xFindFunction = find_sums_function;
  return module;
}();

}  // namespace

int add_sums_table(sqlite3* database, SqlContext& context) {
  return sqlite3_create_module_v2(database, "log_sums", &kSumsModule, &context, nullptr);
}

}  // namespace natsession
