// A small language for tests of queries: ledgers of random but likely traffic, what a slow and simple reader
// would answer, and words for asking.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "ledger/compactor.h"
#include "ledger/ledger_writer.h"
#include "query/scan.h"
#include "query/traffic_dice.h"
#include "support/files.h"
#include "support/manual_clock.h"
#include "support/sanitizer.h"
#include "support/temp_dir.h"

namespace natsession::testing {

// How often a test of random questions asks: fewer times where a sanitizer makes each of them slow.
constexpr int rounds(int all) {
  return kSanitizers.empty() ? all : all / 4;
}

// A ledger that is written in frames and segments as small as the test likes.
class QueryLedger {
 public:
  QueryLedger() {
    settings.directory = temp_.file("ledger");
    settings.sync = SyncMode::kNever;
    compactor = std::make_unique<Compactor>(settings, clock);
    open();
  }
  void open() {
    auto opened = LedgerWriter::open(settings, clock);
    if (!opened) throw std::runtime_error(opened.error().message);
    writer = std::move(*opened);
  }

  // One frame (or two: long sessions).
  void frame(std::span<const SessionRecord> records) {
    const auto written = with_flows ? among_flows(records) : std::vector(records.begin(), records.end());
    if (writer->append(written) != written.size()) throw std::runtime_error("append took too few");
    sync();
    for (const SessionRecord& record : records) all.push_back(record);
  }
  void sync() {
    if (auto synced = writer->sync(); !synced) throw std::runtime_error(synced.error().message);
  }
  // Claims that all is there of this time; `whole`: also what was open at its end.
  void prove(UnixMs from, UnixMs until, bool whole = true) {
    writer->prove({{"", from, until, whole, {7, 0, 0, settings.window}}}, true, true);
  }
  void next_segment() {
    clock.advance(settings.segment_span);
    writer->tick();
  }
  void seal() {
    for (int steps = 0; compactor->step() == std::chrono::nanoseconds(0); ++steps) {
      if (steps > 10'000) throw std::runtime_error("the compactor does not come to rest");
    }
  }
  // Frames of `frame_records`, segments of `segment_frames`; all but the last few of them sealed.
  void fill(std::span<const SessionRecord> records, std::size_t frame_records, std::size_t segment_frames) {
    std::size_t frames = 0;
    for (std::size_t at = 0; at < records.size(); at += frame_records) {
      frame(records.subspan(at, std::min(frame_records, records.size() - at)));
      if (++frames % segment_frames == 0) {
        next_segment();
        if (frames % (4 * segment_frames) == 0) seal();
      }
    }
  }

  [[nodiscard]] SegmentList view() const {
    auto view = SegmentList::open(settings.directory);
    if (!view) throw std::runtime_error(view.error().message);
    return std::move(*view);
  }
  [[nodiscard]] std::vector<std::string> segment_files() const {
    std::vector<std::string> paths;
    for (const std::string& name : list_directory(settings.directory + "/segments")) {
      if (SegmentName::parse(name)) paths.push_back(settings.directory + "/segments/" + name);
    }
    return paths;
  }
  // The files with the sums of sealed segments.
  [[nodiscard]] std::vector<std::string> sums_files() const {
    std::vector<std::string> paths;
    for (const std::string& name : list_directory(settings.directory + "/segments")) {
      if (name.ends_with(".sums")) paths.push_back(settings.directory + "/segments/" + name);
    }
    return paths;
  }

  std::vector<SessionRecord> all;  // what was written, in its order
  bool with_flows = true;          // and what is not the session log's beside it, which nobody asks for
  LedgerSettings settings;
  ManualClock clock{UnixNs(std::chrono::milliseconds(kDayBegin))};
  std::unique_ptr<LedgerWriter> writer;
  std::unique_ptr<Compactor> compactor;

 private:
  static std::vector<SessionRecord> among_flows(std::span<const SessionRecord> records) {
    std::vector<SessionRecord> all;
    for (const SessionRecord& record : records) {
      all.push_back(record);
      if (record.event == RecordEvent::kGap || all.size() % 3 != 1) continue;
      SessionRecord& flow = all.emplace_back(record);
      flow.flow = 60;
      flow.flow_kind = static_cast<FlowKind>(all.size() % 2);
      flow.iif = "eth0";
      if (all.size() % 4 == 0) flow.nat_ip = IpAddress();
    }
    return all;
  }

  TempDir temp_;
};

// What identifies a record in tests.
inline std::pair<std::uint64_t, std::uint32_t> name_of_record(const SessionRecord& record) {
  if (record.event == RecordEvent::kGap) {
    return {static_cast<std::uint64_t>(record.end_time.time_since_epoch().count()), 0xffff'ffff};
  }
  return {record.session_id, record.seq};
}

// The value of a field that has one. (What the values are is tested in tests/record.)
template <typename T>
std::optional<T> value_in(const SessionRecord& record, Field field) {
  const FieldValue value = value_of(record, field);
  const T* const found = std::get_if<T>(&value);
  return found != nullptr ? std::optional(*found) : std::nullopt;
}
inline std::optional<std::uint64_t> number_in(const SessionRecord& record, Field field) {
  return value_in<std::uint64_t>(record, field);
}
inline std::optional<IpAddress> address_in(const SessionRecord& record, Field field) {
  return value_in<IpAddress>(record, field);
}
inline std::optional<std::string> text_in(const SessionRecord& record, Field field) {
  const auto text = value_in<std::string_view>(record, field);
  return text ? std::optional<std::string>(*text) : std::nullopt;
}

inline bool is_beyond(const IpAddress& address, const AddressBound& bound) {
  if (address.is_v4() != bound.bound.is_v4()) return false;
  const int order = std::memcmp(address.bytes().data(), bound.bound.bytes().data(), 16);
  return order == 0 ? bound.inclusive : bound.below ? order < 0 : order > 0;
}

// What a query means, said as simply as it can be.
inline bool passes(const SessionRecord& record, const Query& query) {
  if (record.event == RecordEvent::kGap && !query.gap_records) return false;
  if (!query.start.contains(record.start_time) || !query.end.contains(record.end_time)) return false;
  return std::all_of(query.where.begin(), query.where.end(), [&](const FieldTest& test) {
    switch (kind_of(test.field)) {
      case FieldKind::kAddress: {
        const auto address = address_in(record, test.field);
        return address &&
               test.excluded != (std::count(test.addresses.begin(), test.addresses.end(), *address) > 0 ||
                                 std::any_of(test.prefixes.begin(), test.prefixes.end(),
                                             [&](const Prefix& p) { return p.contains(*address); }) ||
                                 (test.bound && is_beyond(*address, *test.bound)));
      }
      case FieldKind::kText: {
        const auto text = text_in(record, test.field);
        return text && test.excluded != (std::count(test.texts.begin(), test.texts.end(), *text) > 0);
      }
      default: {
        const auto number = number_in(record, test.field);
        return number &&
               test.excluded !=
                   std::any_of(test.numbers.begin(), test.numbers.end(), [&](const NumberRange& range) {
                     return *number >= range.lowest && *number <= range.highest;
                   });
      }
    }
  });
}

using RecordNames = std::multiset<std::pair<std::uint64_t, std::uint32_t>>;

inline RecordNames expected_names(const std::vector<SessionRecord>& all, const Query& query) {
  RecordNames names;
  for (const SessionRecord& record : all) {
    if (passes(record, query)) names.insert(name_of_record(record));
  }
  return names;
}

inline RecordNames scanned_names(Scan& scan) {
  RecordNames names;
  while (const ScanBatch* batch = scan.next()) {
    for (const SessionRecord& record : batch->records()) names.insert(name_of_record(record));
  }
  return names;
}

inline ScanControl with_threads(unsigned threads) {
  ScanControl control;
  control.threads = threads;
  return control;
}

}  // namespace natsession::testing
