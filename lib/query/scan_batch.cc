#include "query/scan_batch.h"

#include <algorithm>
#include <functional>

#include "ledger/ledger_directory.h"

namespace natsession {
namespace {

// Returns how many of `more` had been told.
template <typename T>
std::uint64_t add_new(std::vector<T>& told, const std::vector<T>& more) {
  std::uint64_t known = 0;
  const std::size_t before = told.size();
  for (const T& one : more) {
    const auto end = told.begin() + static_cast<std::ptrdiff_t>(before);
    if (std::find(told.begin(), end, one) != end) {
      ++known;
    } else if (told.size() < ScanReport::kMaxTold) {
      told.push_back(one);
    }
  }
  return known;
}

UntoldGap key_of(const KnownGap& gap) {
  std::uint64_t rest = gap.events_lost.known() ? gap.events_lost.value() + 1 : 0;
  const auto mix = [&](std::uint64_t value) { rest = (rest ^ value) * 0x9e3779b97f4a7c15ULL; };
  mix(static_cast<std::uint64_t>(gap.reason));
  mix(std::hash<std::string>()(gap.instance));
  mix(std::hash<std::string>()(gap.netns));
  return {gap.from, gap.until, rest};
}

bool only_in_records(const FieldSpec& spec) {
  return spec.stored == Stored::kPlain || spec.stored == Stored::kRecord;
}

template <typename Column>
Result<void> keep(const Result<Column>& column, Column& kept) {
  if (!column) return column.error();
  kept = *column;
  return {};
}

}  // namespace

std::string_view to_string(TroubleKind kind) {
  switch (kind) {
    case TroubleKind::kDamaged:
      return "damaged";
    case TroubleKind::kNewer:
      return "newer";
    case TroubleKind::kVanished:
      break;
  }
  return "vanished";
}

void ScanReport::add(KnownGap gap) {
  ++gap_count;
  if (gaps.size() < kMaxTold) {
    gaps.push_back(std::move(gap));
  } else {
    add_untold(key_of(gap));
  }
}

void ScanReport::add_untold(const UntoldGap& gap) {
  if (untold_gaps.size() < kMaxUntold) {
    untold_gaps.push_back(gap);
    return;
  }
  UntoldGap& all = untold_gaps.back();
  all = {std::min(all.from, gap.from), std::max(all.until, gap.until), 0};
}

void ScanReport::merge_gaps(const ScanReport& other) {
  std::vector<UntoldGap> known = untold_gaps;
  for (const KnownGap& gap : gaps) known.push_back(key_of(gap));
  std::sort(known.begin(), known.end());
  const auto is_new = [&](const UntoldGap& gap) {
    if (std::binary_search(known.begin(), known.end(), gap)) return false;
    ++gap_count;
    return true;
  };
  for (const KnownGap& gap : other.gaps) {
    if (!is_new(key_of(gap))) continue;
    if (gaps.size() < kMaxTold) {
      gaps.push_back(gap);
    } else {
      add_untold(key_of(gap));
    }
  }
  for (const UntoldGap& gap : other.untold_gaps) {
    if (is_new(gap)) add_untold(gap);
  }
  // Those that the last of them stands for.
  gap_count += other.gap_count - other.gaps.size() - other.untold_gaps.size();
}

void ScanReport::merge(const ScanReport& other) {
  trouble_count += other.trouble_count - add_new(troubles, other.troubles);
  merge_gaps(other);
  segments += other.segments;
  frames_skipped += other.frames_skipped;
  frames_read += other.frames_read;
  records_read += other.records_read;
  rows += other.rows;
  if (missing.empty()) missing = other.missing;
  if (note.empty()) note = other.note;
  if (!covered_until) covered_until = other.covered_until;
  cancelled = cancelled || other.cancelled;
  sort();
}

void ScanReport::sort() {
  std::stable_sort(troubles.begin(), troubles.end(), [](const Trouble& a, const Trouble& b) {
    return a.time.from.value_or(UnixMs::min()) < b.time.from.value_or(UnixMs::min());
  });
  std::stable_sort(gaps.begin(), gaps.end(), [](const KnownGap& a, const KnownGap& b) {
    return a.from != b.from ? a.from < b.from : a.until < b.until;
  });
}

Columns ScanBatch::fields_of_records() {
  Columns columns;
  for (const FieldSpec& spec : kFields) {
    if (only_in_records(spec)) columns.add(spec.field);
  }
  return columns;
}

void ScanBatch::clear() {
  rows_.clear();
  block_.clear();
  has_records_ = false;
  gap_rows_.clear();
  addresses_ = {};
  ports_ = {};
  times_ = {};
  counters_ = {};
  small_ = {};
}

Result<void> ScanBatch::open(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals) {
  if (!encoder_) encoder_ = std::make_unique<FrameEncoder>(Effort::kFast);
  frame_.clear();
  static_cast<void>(encoder_->encode(records, ordinals, /*long_sessions=*/false, frame_));
  return columns_.open(std::as_bytes(std::span(frame_)));
}

Result<void> ScanBatch::load(const Query& query) {
  const Columns& wanted = query.columns;
  if (query.whole) columns_.expect_whole();
  if (wanted.has_any(fields_of_records()) && !has_records_) {
    if (auto made = columns_.materialise(rows_, block_); !made) return made;
    has_records_ = true;
  }
  for (const FieldSpec& spec : kFields) {
    const Field field = spec.field;
    if (!wanted.has(field) || only_in_records(spec)) continue;
    Result<void> loaded;
    switch (spec.stored) {
      case Stored::kAddresses:
        loaded = keep(columns_.addresses(field), addresses_[at(field)]);
        break;
      case Stored::kPorts:
        loaded = keep(columns_.ports(field), ports_[at(field)]);
        break;
      case Stored::kTimes:
        loaded = keep(columns_.times(field), times_[at(field)]);
        break;
      case Stored::kCounts:
        loaded = keep(columns_.counters(field), counters_[at(field)]);
        break;
      default:
        loaded = keep(columns_.small(field), small_[at(field)]);
    }
    if (!loaded) return loaded;
  }
  return {};
}

bool ScanBatch::is_gap(std::size_t i) const {
  return !gap_rows_.empty() && std::binary_search(gap_rows_.begin(), gap_rows_.end(), rows_[i]);
}

Ordinal ScanBatch::ordinal(std::size_t i) const {
  const auto ordinals = columns_.ordinals();
  if (ordinals) return (*ordinals)[rows_[i]];
  // No two frames begin with the same ordinal, and no record's ordinal is above kMaxOrdinal.
  return kMaxOrdinal | ((frame().first * kMaxFrameRecords + rows_[i]) & (kMaxOrdinal - 1));
}

Trouble ScanBatch::damage(const Error& error) const {
  const FrameInfo& info = frame();
  return {
      TroubleKind::kDamaged,
      {info.min_end, info.max_end},
      info.records,
      "records " + std::to_string(info.first) + " to " + std::to_string(info.last) + ": " + error.message};
}

}  // namespace natsession
