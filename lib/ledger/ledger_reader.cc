#include "ledger/ledger_reader.h"

#include <algorithm>
#include <utility>

namespace natsession {

SessionRecord Skipped::gap(const Origin& origin) const {
  SessionRecord record;
  record.origin = &origin;
  record.event = RecordEvent::kGap;
  record.reason = reason;
  record.start_time = from;
  record.end_time = until;
  record.events_lost = Count(records());
  return record;
}

Result<std::unique_ptr<LedgerReader>> LedgerReader::open(const std::string& directory) {
  auto opened = LedgerDirectory::open(directory);
  if (!opened) return opened.error();
  return std::unique_ptr<LedgerReader>(new LedgerReader(std::move(*opened)));
}

Ordinal LedgerReader::begin() {
  const auto names = segments_.directory().known_segments();
  if (!names || (*names)->empty()) return 0;
  const SegmentName name = (*names)->front();
  if (const auto file = SegmentFile::open(segments_.directory(), name)) {
    SegmentWalker walker = walk_segment(*file, kMaxOrdinal + 1);
    for (auto step = walker.next(); step && step->kind != StepKind::kEnd; step = walker.next()) {
      if (step->kind == StepKind::kFrames) return step->frames.info.first;
    }
  }
  return name.first;
}

Ordinal LedgerReader::end() {
  const auto names = segments_.directory().known_segments();
  if (!names || (*names)->empty()) return 0;
  const SegmentName name = (*names)->back();
  const bool same =
      tail_ && tail_->file->name() == name && !tail_->groups.frames().overtaken() && !tail_->file->deleted();
  if (!same) {
    auto file = SegmentFile::open(segments_.directory(), name);
    if (!file) return name.first;
    tail_.emplace(Tail{*file, GroupWalker(walk_segment(*file, kMaxOrdinal + 1)), name.first});
  }
  while (true) {
    const auto step = tail_->groups.next(/*final=*/false);
    if (!step || step->kind == StepKind::kEnd) return tail_->end;
    if (step->kind == StepKind::kFrames) tail_->end = std::max(tail_->end, step->frames.last() + 1);
  }
}

void LedgerReader::seek(Ordinal place, UnixMs ended) {
  segments_.seek(place, ended);
  serving_ = false;
}

Result<LedgerReader::Outcome> LedgerReader::read(RecordBlock& out) {
  out.clear();
  segments_.begin_read();
  while (true) {
    if (serving_) {
      if (auto skipped = serve(out)) return Outcome{std::move(skipped)};
      if (!out.records.empty()) return Outcome{};
      continue;
    }
    const auto ahead = segments_.look();
    if (!ahead) return ahead.error();
    if (*ahead == SegmentIterator::Ahead::kEnd) return Outcome{};
    if (*ahead == SegmentIterator::Ahead::kMissing) return Outcome{segments_.take_missing()};
    const auto settled = decode();
    if (!settled) return settled.error();
    if (*settled == SegmentIterator::Settled::kNotYet) return Outcome{};
  }
}

// Begins to serve the group at the place, if it is settled.
Result<SegmentIterator::Settled> LedgerReader::decode() {
  auto damage = decoder_.decode(segments_.file(), segments_.group(), block_);
  if (!damage) {
    segments_.count_read_error();
    return damage.error();
  }
  if ((damage->frames > 0 || !segments_.group().whole()) && segments_.doubt())
    return SegmentIterator::Settled::kLookAgain;
  if (damage->frames > 0) {
    const auto settled = segments_.is_settled();
    if (!settled || *settled != SegmentIterator::Settled::kYes) return settled;
  }
  damage_ = std::move(*damage);
  serving_ = true;
  const auto from = std::lower_bound(block_.ordinals.begin(), block_.ordinals.end(), segments_.place());
  served_ = static_cast<std::size_t>(from - block_.ordinals.begin());
  return SegmentIterator::Settled::kYes;
}

// Hands out the next records that follow one another, or says what is missing before them.
std::optional<Skipped> LedgerReader::serve(RecordBlock& out) {
  const std::size_t size = block_.ordinals.size();
  const Ordinal next = served_ < size ? block_.ordinals[served_] : segments_.group().last() + 1;
  if (next > segments_.place()) {
    Skipped skipped = damage_.frames > 0 ? segments_.skip(next - 1, RecordReason::kDamaged, damage_.min_start,
                                                          damage_.max_end, damage_.why)
                                         : segments_.skip_in_group(next - 1);
    segments_.move_to(next);
    serving_ = served_ < size;
    return skipped;
  }
  std::size_t end = served_;
  while (end < size && block_.ordinals[end] == next + (end - served_)) ++end;
  const Ordinal behind = next + (end - served_);
  if (served_ == 0 && end == size) {
    std::swap(out, block_);
  } else {
    const auto from = static_cast<std::ptrdiff_t>(served_);
    const auto to = static_cast<std::ptrdiff_t>(end);
    out.records.assign(block_.records.begin() + from, block_.records.begin() + to);
    out.ordinals.assign(block_.ordinals.begin() + from, block_.ordinals.begin() + to);
  }
  served_ = end;
  serving_ = behind <= segments_.group().last();
  segments_.move_to(behind);
  return std::nullopt;
}

}  // namespace natsession
