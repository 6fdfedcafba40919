#include "query/grouped_sums.h"

#include <algorithm>
#include <chrono>

namespace natsession {
namespace {

constexpr std::uint64_t kMaxExact = std::uint64_t{1} << 53;  // doubles have all integers up to it
constexpr std::int64_t kSumsMinuteMs = 60'000;
constexpr std::int64_t kLatestMs = 253'402'300'799'000;  // date_trunc() takes none behind it

std::size_t hash_of(const SumsIds& ids) {
  static_assert(sizeof(SumsIds) == 16);
  std::uint64_t words[2];
  std::memcpy(words, ids.data(), sizeof(words));
  std::uint64_t hash = words[0] * 0x9e3779b97f4a7c15;
  hash = (hash ^ hash >> 32 ^ words[1]) * 0xbf58476d1ce4e5b9;
  return hash ^ hash >> 29;
}

bool has_whole_minutes(const TimeStep& step) {
  if (step.span.count() == 0) return step.unit != TimeUnit::kSecond;
  return step.span % std::chrono::milliseconds(kSumsMinuteMs) == step.span.zero();
}

}  // namespace

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

std::uint32_t GroupedSums::place_of(const SumsIds& ids) {
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
      if (!gaps || spec_of(sums_field_of(plan_.parts[i].column)).in_gap)
        add_part(batch, chunk, plan_.parts[i], layout_.parts[i]);
    }
  }
  return over_ <= kSumsMaxInteger;
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
  const std::int64_t length = has_whole_minutes(unit) ? kSumsMinuteMs : 1000;
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
void GroupedSums::add_value(std::uint64_t* numbers, const SumsLayout::Part& place, std::uint64_t value) {
  ++numbers[place.count];
  if (place.sum != 0) {
    numbers[place.sum] += value;  // of two that are no more than kSumsMaxInteger, so it does not wrap
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
                           const SumsLayout::Part& place) {
  const Field field = sums_field_of(part.column);
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
    SumsIds ids = other.keys_[group];
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
    for (const SumsLayout::Part& part : layout_.parts) {
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
  return over_ <= kSumsMaxInteger;
}

bool GroupedSums::add(SumsKind kind, std::span<const SumsEntry> entries) {
  if (!plan_.steps.empty() && !is_by_minute(kind)) return false;
  for (const SumsEntry& entry : entries) {
    SumsIds ids{};
    if (!plan_.keys.empty())
      ids[0] = is_by_minute(kind) ? entry.key.protocol() + 1U : addresses_[0].of(entry.key.address());
    for (std::size_t step = 0; step < plan_.steps.size(); ++step) {
      const std::int64_t begin = entry.period * kSumsMinuteMs;
      if (begin < 0 || begin > kLatestMs) return false;
      Moment& known = moments_[step][static_cast<std::size_t>(entry.period) % moments_[step].size()];
      if (known.number != entry.period) known = {entry.period, text_at(begin, plan_.steps[step])};
      ids[plan_.keys.size() + step] = known.id;
    }
    if (!add_sums(ids, entry.sums)) return false;
  }
  return true;
}

bool GroupedSums::add(const SessionRecord& record, const Sums& sums) {
  SumsIds ids{};
  for (std::size_t key = 0; key < plan_.keys.size(); ++key) {
    const FieldValue value = value_of(record, plan_.keys[key]);
    if (const auto* const address = std::get_if<IpAddress>(&value)) ids[key] = addresses_[key].of(*address);
    if (const auto* const number = std::get_if<std::uint64_t>(&value))
      ids[key] = static_cast<std::uint32_t>(*number) + 1;
  }
  return add_sums(ids, sums);
}

bool GroupedSums::add_sums(const SumsIds& ids, const Sums& sums) {
  const std::uint32_t place = place_of(ids);
  if (place == kFull) return false;
  std::uint64_t* const numbers = &numbers_[place * layout_.size];
  numbers[0] += sums.records;
  some_unknown_ = some_unknown_ || sums.unknown > 0;
  for (std::size_t i = 0; i < plan_.parts.size(); ++i) {
    if (plan_.parts[i].counted && sums.unknown > 0) return false;
    // Of no counter more than these are unknown.
    numbers[layout_.parts[i].count] += sums.records - std::min(sums.records, sums.unknown);
    if (layout_.parts[i].sum == 0) continue;
    for (const CounterSum& counter : kCounterSums) {
      if (static_cast<int>(counter.field) != plan_.parts[i].column) continue;
      const std::uint64_t sum = sums.*counter.sum;
      numbers[layout_.parts[i].sum] += sum;
      over_ |= sum | numbers[layout_.parts[i].sum];
    }
  }
  return over_ <= kSumsMaxInteger;
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
    for (const SumsLayout::Part& part : layout_.parts) {
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

}  // namespace natsession
