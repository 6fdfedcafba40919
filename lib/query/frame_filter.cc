#include "query/frame_filter.h"

#include <algorithm>
#include <numeric>

namespace natsession {
namespace {

// What decoding costs, about: the tests with the lowest go first.
int cost_of(Field field) {
  switch (field) {
    case Field::kNatIp:
      return 0;
    case Field::kProtocol:
      return 1;
    case Field::kPriIp:
      return 2;
    case Field::kPubIp:
      return 3;
    case Field::kPubPort:
      return 4;
    case Field::kPriPort:
      return 5;
    case Field::kNatPort:
      return 6;  // needs pri_port
    default:
      return 7;
  }
}

template <typename Keep>
void keep_rows(std::vector<std::uint32_t>& rows, Keep keep) {
  rows.erase(std::remove_if(rows.begin(), rows.end(), [&](std::uint32_t row) { return !keep(row); }),
             rows.end());
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

// `ranges` as in_order() makes them.
bool is_in(const std::vector<NumberRange>& ranges, std::uint64_t value) {
  if (ranges.size() == 1) return value >= ranges[0].lowest && value <= ranges[0].highest;
  const auto behind =
      std::upper_bound(ranges.begin(), ranges.end(), value,
                       [](std::uint64_t v, const NumberRange& range) { return v < range.lowest; });
  return behind != ranges.begin() && value <= std::prev(behind)->highest;
}

bool is_gap(std::uint8_t event) {
  return event == static_cast<std::uint8_t>(RecordEvent::kGap);
}

}  // namespace

FrameFilter::FrameFilter(const Query& query)
    : start_(query.start), end_(query.end), gap_records_(query.gap_records) {
  for (const FieldTest& test : query.where) {
    if (!kFields[static_cast<std::size_t>(test.field)].in_gap) tests_sessions_ = true;
    if (const auto field = address_field(test.field)) {
      AddressTest compiled{*field, test.addresses, {}};
      for (const Prefix& prefix : test.prefixes) {
        const std::string text = prefix.to_string();
        const auto address = IpAddress::parse(std::string_view(text).substr(0, text.find('/')));
        if (address && prefix.length() == (address->is_v4() ? 32 : 128)) {
          compiled.exact.push_back(*address);
        } else {
          compiled.prefixes.push_back(prefix);
        }
      }
      std::sort(compiled.exact.begin(), compiled.exact.end());
      addresses_.push_back(std::move(compiled));
    } else if (port_field(test.field) || small_field(test.field) || counter_field(test.field) ||
               test.field == Field::kSeq) {
      numbers_.push_back({test.field, in_order(test.numbers)});
    } else {
      late_.push_back(test);
      late_.back().numbers = in_order(test.numbers);
      std::sort(late_.back().texts.begin(), late_.back().texts.end());
      std::sort(late_.back().addresses.begin(), late_.back().addresses.end());
    }
  }
  const auto field_cost = [](const NumberTest& a, const NumberTest& b) {
    return cost_of(a.field) < cost_of(b.field);
  };
  std::stable_sort(numbers_.begin(), numbers_.end(), field_cost);
  const auto order = [](AddressField field) {
    return field == AddressField::kNatIp ? 0 : 1 + static_cast<int>(field);
  };
  std::stable_sort(addresses_.begin(), addresses_.end(), [&](const AddressTest& a, const AddressTest& b) {
    return order(a.field) < order(b.field);
  });
}

bool FrameFilter::AddressTest::passes(const IpAddress& address) const {
  if (std::binary_search(exact.begin(), exact.end(), address)) return true;
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

Result<void> FrameFilter::select(Ordinal from, ScanBatch::State& batch, std::vector<KnownGap>& gaps) const {
  batch.rows.resize(batch.columns.info().records);
  std::iota(batch.rows.begin(), batch.rows.end(), 0U);
  if (from > batch.columns.info().first) {
    const auto ordinals = batch.columns.ordinals();
    if (!ordinals) return ordinals.error();
    keep_rows(batch.rows, [&](std::uint32_t row) { return (*ordinals)[row] >= from; });
  }
  const auto gaps_inside = has_gaps(batch);
  if (!gaps_inside) return gaps_inside.error();
  if (*gaps_inside) {
    if (auto sorted = sort_out_gaps(batch, gaps); !sorted) return sorted;
  }
  for (const AddressTest& test : addresses_) {
    if (auto tested = test_addresses(test, batch); !tested || batch.rows.empty()) return tested;
  }
  for (const NumberTest& test : numbers_) {
    if (auto tested = test_numbers(test, batch); !tested || batch.rows.empty()) return tested;
  }
  if (auto tested = test_times(batch); !tested || batch.rows.empty()) return tested;
  return late_.empty() ? Result<void>() : test_records(batch);
}

// Gap records are of no session, so their addresses are ::, which no session has as its nat_ip. To look for
// it costs less than to decode what event each record has.
Result<bool> FrameFilter::has_gaps(ScanBatch::State& batch) const {
  const auto column = batch.columns.addresses(AddressField::kNatIp);
  if (!column) return column.error();
  return std::find(column->distinct.begin(), column->distinct.end(), IpAddress()) != column->distinct.end();
}

Result<void> FrameFilter::sort_out_gaps(ScanBatch::State& batch, std::vector<KnownGap>& gaps) const {
  const auto events = batch.columns.small(SmallField::kEvent);
  if (!events) return events.error();
  std::vector<std::uint32_t> found;
  for (const std::uint32_t row : batch.rows) {
    if (is_gap((*events)[row])) found.push_back(row);
  }
  if (found.empty()) return {};
  batch.gap_rows = found;
  RecordBlock block;
  if (auto made = batch.columns.materialise(found, block); !made) return made;
  for (const SessionRecord& gap : block.records) {
    if (!start_.contains(gap.start_time) || !end_.contains(gap.end_time)) continue;
    gaps.push_back(
        {gap.start_time, gap.end_time, gap.reason, gap.events_lost, gap.origin->instance, gap.origin->netns});
  }
  if (!gap_records_ || tests_sessions_) {
    keep_rows(batch.rows, [&](std::uint32_t row) { return !is_gap((*events)[row]); });
  }
  return {};
}

Result<void> FrameFilter::test_addresses(const AddressTest& test, ScanBatch::State& batch) const {
  const auto column = batch.columns.addresses(test.field);
  if (!column) return column.error();
  batch.marks.assign(column->distinct.size(), 0);
  bool any = false;
  for (std::size_t i = 0; i < column->distinct.size(); ++i) {
    if (!test.passes(column->distinct[i])) continue;
    batch.marks[i] = 1;
    any = true;
  }
  if (!any) {
    batch.rows.clear();
    return {};
  }
  keep_rows(batch.rows, [&](std::uint32_t row) { return batch.marks[column->index[row]] != 0; });
  return {};
}

Result<void> FrameFilter::test_numbers(const NumberTest& test, ScanBatch::State& batch) const {
  const auto keep = [&](const auto& column, auto none) -> Result<void> {
    if (!column) return column.error();
    keep_rows(batch.rows, [&](std::uint32_t row) {
      const auto value = (*column)[row];
      return std::uint64_t{value} != none && is_in(test.ranges, value);
    });
    return {};
  };
  // What no value stands for; none for ports and protocols.
  constexpr std::uint64_t kNever = kUnknownCount;
  if (const auto port = port_field(test.field)) return keep(batch.columns.ports(*port), kNever);
  if (const auto counter = counter_field(test.field))
    return keep(batch.columns.counters(*counter), kUnknownCount);
  if (test.field == Field::kSeq) return keep(batch.columns.seqs(), kNever);
  const auto field = small_field(test.field);
  const bool has_none = field == SmallField::kReason || field == SmallField::kTcpState;
  return keep(batch.columns.small(*field), has_none ? 0 : kNever);
}

Result<void> FrameFilter::test_times(ScanBatch::State& batch) const {
  const FrameInfo& info = batch.columns.info();
  if (!start_.covers(info.min_start, info.max_start)) {
    const auto starts = batch.columns.times(TimeField::kStartTime);
    if (!starts) return starts.error();
    keep_rows(batch.rows, [&](std::uint32_t row) { return start_.contains(at_ms((*starts)[row])); });
  }
  if (!end_.covers(info.min_end, info.max_end)) {
    const auto ends = batch.columns.times(TimeField::kEndTime);
    if (!ends) return ends.error();
    keep_rows(batch.rows, [&](std::uint32_t row) { return end_.contains(at_ms((*ends)[row])); });
  }
  return {};
}

Result<void> FrameFilter::test_records(ScanBatch::State& batch) const {
  if (auto made = batch.columns.materialise(batch.rows, batch.block); !made) return made;
  batch.has_records = true;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const SessionRecord& record = batch.block.records[i];
    const bool good =
        std::all_of(late_.begin(), late_.end(), [&](const FieldTest& test) { return passes(test, record); });
    if (!good) continue;
    batch.rows[kept] = batch.rows[i];
    batch.block.ordinals[kept] = batch.block.ordinals[i];
    batch.block.records[kept++] = record;
  }
  batch.rows.resize(kept);
  batch.block.records.resize(kept);
  batch.block.ordinals.resize(kept);
  return {};
}

bool FrameFilter::passes(const FieldTest& test, const SessionRecord& record) const {
  const auto any_number = [&](std::uint64_t value) { return is_in(test.numbers, value); };
  const auto any_text = [&](std::string_view text) {
    return std::binary_search(test.texts.begin(), test.texts.end(), text, std::less<>());
  };
  const bool gap = record.event == RecordEvent::kGap;
  switch (test.field) {
    case Field::kInstance:
      return any_text(record.origin->instance);
    case Field::kNetns:
      return any_text(record.origin->netns);
    case Field::kVpcId:
      return any_text(record.vpc_id);
    case Field::kLogStatus:
      return gap && any_text(kGapLogStatus);
    case Field::kSessionId:
      return any_number(record.session_id);
    case Field::kZone:
      return record.zone != 0 && any_number(record.zone);
    case Field::kMark:
      return record.mark != 0 && any_number(record.mark);
    case Field::kEventsLost:
      return gap && record.events_lost.known() && any_number(record.events_lost.value());
    case Field::kOrigDstPort:
      return record.has_orig_dst && any_number(record.orig_dst_port);
    case Field::kOrigDstIp:
      return record.has_orig_dst &&
             (std::binary_search(test.addresses.begin(), test.addresses.end(), record.orig_dst_ip) ||
              std::any_of(test.prefixes.begin(), test.prefixes.end(),
                          [&](const Prefix& prefix) { return prefix.contains(record.orig_dst_ip); }));
    default:
      return false;
  }
}

}  // namespace natsession
