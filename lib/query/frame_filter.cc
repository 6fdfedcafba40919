#include "query/frame_filter.h"

#include <algorithm>
#include <array>

namespace natsession {
namespace {

// The columns that cost little to decode, or leave little: the tests of the first go first.
constexpr std::array kCheapest{Field::kNatIp,   Field::kProtocol, Field::kPriIp,  Field::kPubIp,
                               Field::kPubPort, Field::kPriPort,  Field::kNatPort};

auto cost_of(Field field) {
  return std::find(kCheapest.begin(), kCheapest.end(), field) - kCheapest.begin();
}

UnixMs at_ms(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}

std::vector<NumberRange> in_order(std::vector<NumberRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const NumberRange& a, const NumberRange& b) { return a.lowest < b.lowest; });
  std::vector<NumberRange> apart;
  for (const NumberRange& range : ranges) {
    if (!apart.empty() && range.lowest <= apart.back().highest) {
      apart.back().highest = std::max(apart.back().highest, range.highest);
    } else {
      apart.push_back(range);
    }
  }
  return apart;
}

IpAddress highest_address() {
  std::array<std::uint8_t, 16> bytes;
  bytes.fill(0xff);
  return IpAddress::from_v6(bytes);
}

bool is_gap(std::uint8_t event) {
  return event == static_cast<std::uint8_t>(RecordEvent::kGap);
}

}  // namespace

FrameFilter::Test::Test(const FieldTest& test)
    : field(test.field),
      addresses(test.addresses),
      numbers(in_order(test.numbers)),
      texts(test.texts),
      bound(test.bound),
      excluded(test.excluded) {
  for (const Prefix& prefix : test.prefixes) {
    const std::string text = prefix.to_string();
    const auto address = IpAddress::parse(std::string_view(text).substr(0, text.find('/')));
    if (address && prefix.length() == (address->is_v4() ? 32 : 128)) {
      addresses.push_back(*address);
    } else {
      prefixes.push_back(prefix);
    }
  }
  std::sort(addresses.begin(), addresses.end());
  std::sort(texts.begin(), texts.end());
}

bool FrameFilter::Test::passes(const IpAddress& address) const {
  const bool among = std::binary_search(addresses.begin(), addresses.end(), address) ||
                     (bound && bound->has(address)) ||
                     std::any_of(prefixes.begin(), prefixes.end(),
                                 [&](const Prefix& prefix) { return prefix.contains(address); });
  return among != excluded;
}

void FrameFilter::Test::bound_by(IpAddress& lowest, IpAddress& highest) const {
  if (excluded || bound || !prefixes.empty() || addresses.empty()) return;
  lowest = std::max(lowest, addresses.front());
  highest = std::min(highest, addresses.back());
}

bool FrameFilter::Test::passes(std::uint64_t number) const {
  if (numbers.size() == 1) return (number >= numbers[0].lowest && number <= numbers[0].highest) != excluded;
  const auto behind =
      std::upper_bound(numbers.begin(), numbers.end(), number,
                       [](std::uint64_t v, const NumberRange& range) { return v < range.lowest; });
  return (behind != numbers.begin() && number <= std::prev(behind)->highest) != excluded;
}

bool FrameFilter::Test::passes(const FieldValue& value) const {
  if (const auto* const number = std::get_if<std::uint64_t>(&value)) return passes(*number);
  if (const auto* const address = std::get_if<IpAddress>(&value)) return passes(*address);
  const auto* const text = std::get_if<std::string_view>(&value);
  return text != nullptr && std::binary_search(texts.begin(), texts.end(), *text, std::less<>()) != excluded;
}

FrameFilter::FrameFilter(const Query& query)
    : start_(query.start),
      end_(query.end),
      ready_(query.ready),
      gap_records_(query.gap_records),
      flows_(query.flows) {
  for (const FieldTest& test : query.where) {
    const FieldSpec& spec = spec_of(test.field);
    if (!spec.in_gap) tests_sessions_ = true;
    const bool late = spec.stored == Stored::kPlain || spec.stored == Stored::kRecord;
    const bool address = spec.stored == Stored::kAddresses;
    if (spec.stored != Stored::kTimes) (late ? late_ : address ? addresses_ : numbers_).emplace_back(test);
  }
  const auto cheaper = [](const Test& a, const Test& b) { return cost_of(a.field) < cost_of(b.field); };
  std::stable_sort(addresses_.begin(), addresses_.end(), cheaper);
  std::stable_sort(numbers_.begin(), numbers_.end(), cheaper);
}

Result<void> FrameFilter::select(Ordinal from, ScanBatch& batch, std::vector<KnownGap>& gaps) const {
  if (auto found = find_hosts(batch); !found || batch.rows_.empty()) return found;
  if (from > batch.columns_.info().first) {
    const auto ordinals = batch.columns_.ordinals();
    if (!ordinals) return ordinals.error();
    keep_rows(batch.rows_, [&](std::uint32_t row) { return (*ordinals)[row] >= from; });
  }
  const auto gaps_inside = has_gaps(batch);
  if (!gaps_inside) return gaps_inside.error();
  if (*gaps_inside) {
    if (auto left = leave_flows(batch); !left || batch.rows_.empty()) return left;
    if (auto sorted = sort_out_gaps(batch, gaps); !sorted) return sorted;
  }
  if (batch.of_ready_segment()) {
    if (auto left = leave_ready(batch); !left || batch.rows_.empty()) return left;
  }
  for (const Test& test : addresses_) {
    if (!*gaps_inside && test.field != Field::kPubIp) continue;  // the others were asked first of all
    const auto tested = test.field == Field::kPubIp ? test_pub_ips(test, batch) : test_addresses(test, batch);
    if (!tested || batch.rows_.empty()) return tested;
  }
  for (const Test& test : numbers_) {
    if (auto tested = test_numbers(test, batch); !tested || batch.rows_.empty()) return tested;
  }
  if (auto tested = test_times(batch); !tested || batch.rows_.empty()) return tested;
  // Last, since the models of a frame are read for it, which costs more than all else where nothing is found.
  if (!*gaps_inside) {
    if (auto left = leave_flows(batch); !left || batch.rows_.empty()) return left;
  }
  batch.columns_.want(batch.rows_);
  if (batch.in_order_) {
    if (auto ordered = put_in_order(batch); !ordered) return ordered;
  }
  return late_.empty() ? Result<void>() : test_records(batch);
}

bool FrameFilter::passes(const SessionRecord& record) const {
  if (!flows_ && record.flow != 0) return false;
  if (is_gap(static_cast<std::uint8_t>(record.event)) && (!gap_records_ || tests_sessions_)) return false;
  const auto all = [&](const std::vector<Test>& tests) {
    return std::all_of(tests.begin(), tests.end(),
                       [&](const Test& test) { return test.passes(value_of(record, test.field)); });
  };
  return start_.contains(record.start_time) && end_.contains(record.end_time) && all(addresses_) &&
         all(numbers_) && all(late_);
}

// The rows of the hosts that pass, which the frame has together, and those of gap records, which have none.
Result<void> FrameFilter::find_hosts(ScanBatch& batch) const {
  const auto passes = [&](Field field, const IpAddress& address) {
    return std::all_of(addresses_.begin(), addresses_.end(),
                       [&](const Test& test) { return test.field != field || test.passes(address); });
  };
  const auto tests = [&](Field field) {
    return std::any_of(addresses_.begin(), addresses_.end(),
                       [&](const Test& test) { return test.field == field; });
  };
  const auto wanted = [&](Field field) {
    FrameColumns::Wanted those{nullptr, IpAddress(), highest_address()};
    for (const Test& test : addresses_) {
      if (test.field == field) test.bound_by(those.from, those.to);
    }
    if (tests(field))
      those.passes = [&passes, field](const IpAddress& address) { return passes(field, address); };
    return those;
  };
  const auto found = batch.columns_.rows_of(wanted(Field::kNatIp), wanted(Field::kPriIp), batch.rows_);
  if (!found) return found;
  batch.columns_.want(batch.rows_);
  return {};
}

Result<void> FrameFilter::leave_flows(ScanBatch& batch) const {
  if (flows_) return {};
  batch.columns_.want(batch.rows_);
  const auto flows = batch.columns_.flows();
  if (!flows) return flows.error();
  if (!flows->empty()) keep_rows(batch.rows_, [&](std::uint32_t row) { return (*flows)[row] == 0; });
  return {};
}

// Gap records are of no session, so their addresses are ::, which no session has as its nat_ip. To look for
// it costs less than to decode what event each record has.
Result<bool> FrameFilter::has_gaps(ScanBatch& batch) const {
  return batch.columns_.has_unspecified_nat_ip();
}

Result<void> FrameFilter::sort_out_gaps(ScanBatch& batch, std::vector<KnownGap>& gaps) const {
  const auto events = batch.columns_.small(Field::kEvent);
  if (!events) return events.error();
  std::vector<std::uint32_t> found;
  for (const std::uint32_t row : batch.rows_) {
    if (is_gap((*events)[row])) found.push_back(row);
  }
  if (found.empty()) return {};
  batch.gap_rows_ = found;
  RecordBlock block;
  if (auto made = batch.columns_.materialise(found, block); !made) return made;
  for (const SessionRecord& gap : block.records) {
    if (!start_.contains(gap.start_time) || !end_.contains(gap.end_time)) continue;
    gaps.push_back(
        {gap.start_time, gap.end_time, gap.reason, gap.events_lost, gap.origin->instance, gap.origin->netns});
  }
  if (!gap_records_ || tests_sessions_) {
    keep_rows(batch.rows_, [&](std::uint32_t row) { return !is_gap((*events)[row]); });
  }
  batch.columns_.want(batch.rows_);  // materialise() wanted the gap records alone
  return {};
}

Result<void> FrameFilter::test_addresses(const Test& test, ScanBatch& batch) const {
  const auto column = batch.columns_.addresses(test.field);
  if (!column) return column.error();
  batch.marks_.assign(column->distinct.size(), 0);
  bool any = false;
  for (std::size_t i = 0; i < column->distinct.size(); ++i) {
    if (!test.passes(column->distinct[i])) continue;
    batch.marks_[i] = 1;
    any = true;
  }
  if (!any) {
    batch.rows_.clear();
    return {};
  }
  keep_rows(batch.rows_, [&](std::uint32_t row) { return batch.marks_[column->index[row]] != 0; });
  batch.columns_.want(batch.rows_);
  return {};
}

Result<void> FrameFilter::test_pub_ips(const Test& test, ScanBatch& batch) const {
  // Addresses alone are looked for in the dictionary; other tests are asked of each.
  const bool listed = !test.excluded && !test.bound && test.prefixes.empty();
  const auto tested = batch.columns_.keep_pub_ips(
      [&](const IpAddress& address) { return test.passes(address); },
      listed ? std::span<const IpAddress>(test.addresses) : std::span<const IpAddress>(),
      batch.pub_marks_[&test - addresses_.data()], batch.rows_);
  batch.columns_.want(batch.rows_);
  return tested;
}

Result<void> FrameFilter::test_numbers(const Test& test, ScanBatch& batch) const {
  const auto keep = [&](const auto& column, std::uint64_t none) -> Result<void> {
    if (!column) return column.error();
    if (test.numbers.size() == 1 && !test.excluded) {
      const auto [lowest, highest] = test.numbers[0];
      keep_rows(batch.rows_, [&, lowest = lowest, highest = highest](std::uint32_t row) {
        const std::uint64_t value = (*column)[row];
        return value >= lowest && value <= highest && value != none;
      });
      return {};
    }
    keep_rows(batch.rows_, [&](std::uint32_t row) {
      const std::uint64_t value = (*column)[row];
      return value != none && test.passes(value);
    });
    return {};
  };
  constexpr std::uint64_t kNever = kUnknownCount;  // what no port has
  switch (spec_of(test.field).stored) {
    case Stored::kPorts:
      return keep(batch.columns_.ports(test.field), kNever);
    case Stored::kCounts:
      return keep(batch.columns_.counters(test.field), kUnknownCount);
    default:
      return keep(batch.columns_.small(test.field), zero_is_none(test.field) ? 0 : kNever);
  }
}

Result<void> FrameFilter::test_times(ScanBatch& batch) const {
  const FrameInfo& info = batch.columns_.info();
  if (!start_.covers(info.min_start, info.max_start)) {
    const auto starts = batch.columns_.times(Field::kStartTime);
    if (!starts) return starts.error();
    keep_rows(batch.rows_, [&](std::uint32_t row) { return start_.contains(at_ms((*starts)[row])); });
  }
  if (!end_.covers(info.min_end, info.max_end)) {
    const auto ends = batch.columns_.times(Field::kEndTime);
    if (!ends) return ends.error();
    keep_rows(batch.rows_, [&](std::uint32_t row) { return end_.contains(at_ms((*ends)[row])); });
  }
  return {};
}

// Takes out what sums tell of.
Result<void> FrameFilter::leave_ready(ScanBatch& batch) const {
  const FrameInfo& info = batch.columns_.info();
  if (!ready_->end.meets(info.min_end, info.max_end)) return {};
  if (ready_->end.covers(info.min_end, info.max_end)) {
    batch.rows_.clear();
    return {};
  }
  const auto ends = batch.columns_.times(Field::kEndTime);
  if (!ends) return ends.error();
  keep_rows(batch.rows_, [&](std::uint32_t row) { return !ready_->end.contains(at_ms((*ends)[row])); });
  return {};
}

// By their ordinals, which lie close together. Where these are damaged, what else is asked for may yet be
// read.
Result<void> FrameFilter::put_in_order(ScanBatch& batch) const {
  const auto ordinals = batch.columns_.ordinals();
  if (!ordinals) return {};
  constexpr std::size_t kFew = 4096;
  const FrameInfo& info = batch.columns_.info();
  if (batch.rows_.size() < kFew) {
    std::sort(batch.rows_.begin(), batch.rows_.end(),
              [&](std::uint32_t a, std::uint32_t b) { return (*ordinals)[a] < (*ordinals)[b]; });
    return {};
  }
  constexpr std::uint32_t kNone = UINT32_MAX;
  std::vector<std::uint32_t> places(static_cast<std::size_t>(info.last - info.first + 1), kNone);
  for (const std::uint32_t row : batch.rows_) {
    std::uint32_t& place = places[static_cast<std::size_t>((*ordinals)[row] - info.first)];
    if (place != kNone) return Error{ErrorKind::kMalformed, "frame: two records have one ordinal"};
    place = row;
  }
  std::erase(places, kNone);
  batch.rows_ = std::move(places);
  return {};
}

Result<void> FrameFilter::test_records(ScanBatch& batch) const {
  if (auto made = batch.columns_.materialise(batch.rows_, batch.block_); !made) return made;
  batch.has_records_ = true;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < batch.rows_.size(); ++i) {
    const SessionRecord& record = batch.block_.records[i];
    const bool good = std::all_of(late_.begin(), late_.end(), [&](const Test& test) {
      return test.passes(value_of(record, test.field));
    });
    if (!good) continue;
    batch.rows_[kept] = batch.rows_[i];
    batch.block_.ordinals[kept] = batch.block_.ordinals[i];
    batch.block_.records[kept++] = record;
  }
  batch.rows_.resize(kept);
  batch.block_.records.resize(kept);
  batch.block_.ordinals.resize(kept);
  return {};
}

}  // namespace natsession
