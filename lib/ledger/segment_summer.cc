#include "ledger/segment_summer.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;

constexpr std::array kSummedAddresses{Field::kPriIp, Field::kPubIp, Field::kNatIp};
constexpr std::array kAddressSums{SumsKind::kHoursByPriIp, SumsKind::kHoursByPubIp, SumsKind::kHoursByNatIp};

// No record's time is so far away, nor its start behind its end; what says so is not summed up.
constexpr std::int64_t kFarthestMs = std::int64_t{1} << 60;

bool is_far(std::int64_t time) {
  return time < -kFarthestMs || time > kFarthestMs;
}

std::uint64_t records_in(const SegmentFrames& segment) {
  std::uint64_t records = 0;
  for (const FramePlace& frame : segment.frames) records += frame.info.records;
  return records;
}

bool in_period(std::int64_t time, std::int64_t period, std::int64_t length) {
  return time >= period * length && time - period * length < length;
}

// share_before() of the four counters of a record. Of small numbers doubles are exact, and four at once are
// divided sooner.
class Spreader {
 public:
  using Values = std::array<std::uint64_t, kCounterSums.size()>;

  Spreader(std::int64_t start, std::int64_t end, const Sums& sums) : start_(start), end_(end) {
    std::uint64_t bits = static_cast<std::uint64_t>(end - start);
    for (std::size_t i = 0; i < values_.size(); ++i) {
      values_[i] = sums.*kCounterSums[i].sum;
      small_[i] = static_cast<std::int32_t>(values_[i]);
      bits |= values_[i];
    }
    is_small_ = bits >> kSmallBits == 0;
  }

  [[nodiscard]] Values before(std::int64_t moment) const {
    if (moment >= end_) return values_;
    Values shares;
    if (is_small_) {
      // The product is below 2^52: the quotient is not rounded up to a whole number.
      const auto part = static_cast<double>(moment - start_);
      const auto whole = static_cast<double>(end_ - start_);
      std::array<std::int32_t, kCounterSums.size()> found;
      for (std::size_t i = 0; i < found.size(); ++i)
        found[i] = static_cast<std::int32_t>(static_cast<double>(small_[i]) * part / whole);
      for (std::size_t i = 0; i < found.size(); ++i) shares[i] = static_cast<std::uint64_t>(found[i]);
    } else {
      for (std::size_t i = 0; i < shares.size(); ++i)
        shares[i] = share_before(values_[i], start_, end_, moment);
    }
    return shares;
  }

 private:
  static constexpr unsigned kSmallBits = 26;

  std::int64_t start_;
  std::int64_t end_;
  Values values_{};
  std::array<std::int32_t, kCounterSums.size()> small_{};
  bool is_small_ = false;
};

}  // namespace

Sums& SumsTable::at(std::int64_t period, const SumsKey& key) {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash(period, key) & mask;; slot = (slot + 1) & mask) {
    const std::uint32_t place = slots_[slot];
    if (place == 0) {
      // Nothing is moved as it grows; what is not used costs no memory.
      if (entries_.empty()) entries_.reserve(kMaxEntries);
      entries_.push_back({period, key, {}});
      slots_[slot] = static_cast<std::uint32_t>(entries_.size());
      if (entries_.size() * 2 > slots_.size()) grow();
      return entries_.back().sums;
    }
    SumsEntry& entry = entries_[place - 1];
    if (entry.key == key && entry.period == period) return entry.sums;
  }
}

void SumsTable::grow() {
  slots_.assign(slots_.size() * 2, 0);
  const std::size_t mask = slots_.size() - 1;
  for (std::uint32_t place = 0; place < entries_.size(); ++place) {
    std::size_t slot = hash(entries_[place].period, entries_[place].key) & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = place + 1;
  }
}

std::vector<SumsEntry> SumsTable::take() {
  struct Place {
    std::int64_t period;
    SumsKey key;
    std::uint32_t place;
  };
  std::vector<Place> order;
  order.reserve(entries_.size());
  for (const SumsEntry& entry : entries_)
    order.push_back({entry.period, entry.key, static_cast<std::uint32_t>(order.size())});
  std::sort(order.begin(), order.end(), [](const Place& a, const Place& b) {
    return a.period != b.period ? a.period < b.period : a.key < b.key;
  });
  std::vector<SumsEntry> sorted;
  sorted.reserve(order.size());
  for (const Place& place : order) sorted.push_back(entries_[place.place]);
  entries_ = {};
  slots_.assign(kFirstSlots, 0);
  return sorted;
}

Result<SegmentSummer::Columns> SegmentSummer::columns_of(FrameColumns& frame) {
  Columns columns;
  Result<void> failed;
  const auto keep = [&failed](const auto& column, auto& kept) {
    if (column) {
      kept = *column;
    } else if (failed) {
      failed = column.error();
    }
  };
  keep(frame.times(Field::kStartTime), columns.starts);
  keep(frame.times(Field::kEndTime), columns.ends);
  keep(frame.counters(Field::kSeq), columns.seqs);
  for (std::size_t i = 0; i < kCounterSums.size(); ++i)
    keep(frame.counters(kCounterSums[i].field), columns.counters[i]);
  keep(frame.small(Field::kEvent), columns.events);
  keep(frame.small(Field::kProtocol), columns.protocols);
  keep(frame.flows(), columns.flows);
  for (std::size_t i = 0; i < kAddressKinds; ++i)
    keep(frame.addresses(kSummedAddresses[i]), columns.addresses[i]);
  if (!failed) return failed.error();
  return columns;
}

void SegmentSummer::add(FrameColumns& frame) {
  if (spoiled_) return;
  const auto columns = columns_of(frame);
  if (!columns || !note_gaps(frame, columns->events)) {
    spoil();
    return;
  }
  add_rows(*columns);
}

Result<void> SegmentSummer::note_gaps(FrameColumns& frame, std::span<const std::uint8_t> events) {
  constexpr auto kGap = static_cast<std::uint8_t>(RecordEvent::kGap);
  if (std::find(events.begin(), events.end(), kGap) == events.end()) return {};
  const auto ordinals = frame.ordinals();
  if (!ordinals) return ordinals.error();
  for (std::size_t row = 0; row < events.size(); ++row) {
    if (events[row] == kGap) gaps_.push_back((*ordinals)[row]);
  }
  return {};
}

void SegmentSummer::add_rows(const Columns& columns) {
  for (std::size_t i = 0; i < kAddressKinds; ++i) {
    std::vector<Sums>& sums = dense_[i].sums;  // all zero
    sums.resize(std::max(sums.size(), columns.addresses[i].distinct.size()));
  }
  for (std::size_t row = 0; row < columns.ends.size(); ++row) {
    if (columns.events[row] == static_cast<std::uint8_t>(RecordEvent::kGap)) continue;
    if (!columns.flows.empty() && columns.flows[row] != 0) continue;  // not the session log's
    const std::int64_t end = columns.ends[row];
    if (is_far(columns.starts[row]) || is_far(end) || columns.starts[row] > end) {
      spoil();
      continue;
    }
    const std::uint8_t protocol = columns.protocols[row];
    Sums sums;
    sums.sessions = is_first(columns.seqs[row]) ? 1 : 0;
    sums.records = 1;
    for (std::size_t i = 0; i < kCounterSums.size(); ++i) {
      const std::uint64_t value = columns.counters[i][row];
      if (value == kUnknownCount) {
        sums.unknown = 1;
      } else {
        sums.*kCounterSums[i].sum = value;
      }
    }
    if (!in_period(end, hour_, kHourMs)) {
      flush_hour(columns);
      hour_ = period_of(end, kHourMs);
    }
    for (std::size_t i = 0; i < kAddressKinds; ++i) {
      const std::uint16_t place = columns.addresses[i].index[row];
      Sums& into = dense_[i].sums[place];
      if (into.records == 0) dense_[i].touched.push_back(place);
      into.add(sums);
    }
    if (!in_period(end, minute_, kMinuteMs)) {
      flush_minute();
      minute_ = period_of(end, kMinuteMs);
    }
    if (minute_sums_[protocol].records == 0) minute_touched_.push_back(protocol);
    minute_sums_[protocol].add(sums);
    add_spread(columns.starts[row], end, protocol, sums);
  }
  flush_hour(columns);
  flush_minute();
}

void SegmentSummer::flush_hour(const Columns& columns) {
  for (std::size_t i = 0; i < kAddressKinds; ++i) {
    constexpr std::size_t kAhead = 8;
    Kind& into = kind(kAddressSums[i]);
    const auto& touched = dense_[i].touched;
    const auto key_of = [&](std::size_t n) { return SumsKey::of(columns.addresses[i].distinct[touched[n]]); };
    for (std::size_t n = 0; n < touched.size(); ++n) {
      // The table is larger than a processor's nearest memory.
      if (n + 2 * kAhead < touched.size()) into.table.expect_slot(hour_, key_of(n + 2 * kAhead));
      if (n + kAhead < touched.size()) into.table.expect_entry(hour_, key_of(n + kAhead));
      Sums& sums = dense_[i].sums[touched[n]];
      if (Sums* const total = at(into, hour_, key_of(n))) total->add(sums);
      sums = {};
    }
    dense_[i].touched.clear();
  }
}

void SegmentSummer::flush_minute() {
  for (const std::uint8_t protocol : minute_touched_) {
    Sums& sums = minute_sums_[protocol];
    if (Sums* const total = at(kind(SumsKind::kMinutesAtEnd), minute_, SumsKey::of(protocol)))
      total->add(sums);
    sums = {};
  }
  minute_touched_.clear();
}

void SegmentSummer::add_spread(std::int64_t start, std::int64_t end, std::uint8_t protocol,
                               const Sums& sums) {
  const std::int64_t first = period_of(start, kMinuteMs);
  const std::int64_t last = period_of(end, kMinuteMs);
  if (last - first > kMostMinutes) leave_out(kind(SumsKind::kMinutes));
  if (last >= window_ + kWindow) {
    flush_window();
    window_ = last - kWindow * 3 / 4;
  }
  if (first >= last) {
    add_minute(last, protocol, sums);
    return;
  }
  const Spreader spreader(start, end, sums);
  Spreader::Values done{};
  for (std::int64_t minute = first; minute <= last; ++minute) {
    const Spreader::Values upto = spreader.before((minute + 1) * kMinuteMs);
    Sums share;
    for (std::size_t i = 0; i < upto.size(); ++i) share.*kCounterSums[i].sum = upto[i] - done[i];
    done = upto;
    if (minute == first) share.sessions = sums.sessions;
    if (minute == last) {
      share.records = sums.records;
      share.unknown = sums.unknown;
    }
    add_minute(minute, protocol, share);
  }
}

void SegmentSummer::add_minute(std::int64_t minute, std::uint8_t protocol, const Sums& sums) {
  if (minute >= window_ && minute < window_ + kWindow) {
    auto& cells = window_sums_[protocol];
    if (!cells) cells = std::make_unique<Window>();
    (*cells)[static_cast<std::size_t>(minute - window_)].add(sums);
  } else if (Sums* const total = at(kind(SumsKind::kMinutes), minute, SumsKey::of(protocol))) {
    total->add(sums);
  }
}

void SegmentSummer::flush_window() {
  for (std::size_t protocol = 0; protocol < window_sums_.size(); ++protocol) {
    if (!window_sums_[protocol]) continue;
    for (std::int64_t i = 0; i < kWindow; ++i) {
      Sums& sums = (*window_sums_[protocol])[static_cast<std::size_t>(i)];
      if (sums == Sums()) continue;
      const SumsKey key = SumsKey::of(static_cast<std::uint8_t>(protocol));
      if (Sums* const total = at(kind(SumsKind::kMinutes), window_ + i, key)) total->add(sums);
      sums = {};
    }
  }
}

// Null if the kind is left out.
Sums* SegmentSummer::at(Kind& kind, std::int64_t period, const SumsKey& key) {
  if (kind.left_out) return nullptr;
  if (kind.table.full()) pack(kind);
  Sums& sums = kind.table.at(period, key);
  if (kind.entries + kind.table.size() <= most_entries_) return &sums;
  leave_out(kind);
  return nullptr;
}

void SegmentSummer::pack(Kind& kind) {
  kind.entries += kind.table.size();
  packer_.append(kind.table.take(), kind.section);
}

void SegmentSummer::leave_out(Kind& kind) {
  kind = {};
  kind.left_out = true;
}

std::string SegmentSummer::finish(const SumsMark& mark) {
  std::string gaps;
  std::vector<SumsSection> sections;
  if (gaps_.size() > most_entries_) spoil();
  flush_window();
  if (!spoiled_) {
    std::sort(gaps_.begin(), gaps_.end());
    packer_.append_gaps(gaps_, gaps);
    for (const SumsKind which : kSumsKinds) {
      Kind& summed = kind(which);
      if (summed.left_out) continue;
      pack(summed);
      sections.push_back({which, std::move(summed.section)});
    }
  }
  return encode_sums(mark, gaps, sections);
}

Result<void> write_sums(const LedgerDirectory& directory, Ordinal first, std::string_view bytes) {
  const SegmentName name{first, true};
  const std::string temporary = name.sums() + ".tmp";
  if (auto removed = directory.remove(temporary); !removed) return removed;
  auto out = directory.open_file(temporary, O_WRONLY | O_CREAT | O_EXCL);
  if (!out) return out.error();
  const auto written = [&]() -> Result<void> {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::write(out->get(), bytes.data() + done, bytes.size() - done);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0)
        return system_error("ledger: write " + directory.path_of(temporary), count < 0 ? errno : ENOSPC);
      done += static_cast<std::size_t>(count);
    }
    return directory.rename(temporary, name.sums());
  }();
  if (!written) static_cast<void>(directory.remove(temporary));
  return written;
}

Result<std::unique_ptr<SumsMaker>> SumsMaker::begin(const LedgerDirectory& directory,
                                                    const SegmentEntry& segment) {
  auto file = SegmentFile::open(directory, segment.name);
  if (!file) return file.error();
  auto frames = read_frames(*file);
  if (!frames) return frames.error();
  return std::unique_ptr<SumsMaker>(
      new SumsMaker(directory, std::move(*file), {segment.name.first, segment.seal}, std::move(*frames)));
}

SumsMaker::SumsMaker(const LedgerDirectory& directory, std::shared_ptr<const SegmentFile> file, SumsMark mark,
                     SegmentFrames frames)
    : directory_(directory),
      file_(std::move(file)),
      mark_(mark),
      frames_(std::move(frames)),
      summer_(records_in(frames_)) {
  if (frames_.damaged_bytes > 0) summer_.spoil();
  file_->read_bad_sectors_as_zeros();
}

Result<SumsMaker::Progress> SumsMaker::step() {
  if (next_ < frames_.frames.size()) {
    const FramePlace& place = frames_.frames[next_++];
    frame_.resize(place.info.bytes);
    const auto count = file_->read_at(place.offset, frame_);
    if (!count) return count.error();
    if (*count == frame_.size() && columns_.open(frame_, file_->peers())) {
      summer_.add(columns_);
    } else {
      summer_.spoil();
    }
    return Progress::kMore;
  }
  const std::string bytes = summer_.finish(mark_);
  bytes_ = bytes.size();
  if (auto written = write_sums(directory_, mark_.first, bytes); !written) return written.error();
  return Progress::kDone;
}

}  // namespace natsession
