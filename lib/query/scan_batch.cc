#include "query/scan_batch.h"

#include <algorithm>

#include "ledger/ledger_directory.h"

namespace natsession {
namespace {

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

Result<void> ScanBatch::load(const Columns& wanted) {
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
