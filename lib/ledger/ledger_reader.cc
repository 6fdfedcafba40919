#include "ledger/ledger_reader.h"

#include <algorithm>
#include <utility>

#include "ledger/ledger_track.h"
#include "ledger/segment_group.h"

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

class LedgerReader::Impl {
 public:
  explicit Impl(LedgerDirectory directory) : track_(std::move(directory)) {}

  Ordinal begin();
  Ordinal end();
  void seek(Ordinal place, UnixMs ended);
  Result<Outcome> read(RecordBlock& out);
  std::optional<UnixMs> oldest_waiting();
  [[nodiscard]] Ordinal place() const { return track_.place(); }

 private:
  Result<LedgerTrack::Settled> decode();
  std::optional<Skipped> serve(RecordBlock& out);

  LedgerTrack track_;
  GroupDecoder decoder_;

  // What was decoded of the group at the place and not yet handed out.
  bool serving_ = false;
  RecordBlock block_;
  std::size_t served_ = 0;
  GroupDecoder::Damage damage_;

  // For end(): the newest segment, as far as it was walked.
  struct Tail {
    std::shared_ptr<const SegmentFile> file;
    GroupWalker groups;
    Ordinal end = 0;
  };
  std::optional<Tail> tail_;
};

Ordinal LedgerReader::Impl::begin() {
  const auto names = track_.directory().known_segments();
  if (!names || (*names)->empty()) return 0;
  const SegmentName name = (*names)->front();
  if (const auto file = SegmentFile::open(track_.directory(), name)) {
    SegmentWalker walker = walk_segment(*file, kMaxOrdinal + 1);
    for (auto step = walker.next(); step && step->kind != StepKind::kEnd; step = walker.next()) {
      if (step->kind == StepKind::kFrames) return step->frames.info.first;
    }
  }
  return name.first;
}

Ordinal LedgerReader::Impl::end() {
  const auto names = track_.directory().known_segments();
  if (!names || (*names)->empty()) return 0;
  const SegmentName name = (*names)->back();
  const bool same =
      tail_ && tail_->file->name() == name && !tail_->groups.frames().overtaken() && !tail_->file->deleted();
  if (!same) {
    auto file = SegmentFile::open(track_.directory(), name);
    if (!file) return name.first;
    tail_.emplace(Tail{*file, GroupWalker(walk_segment(*file, kMaxOrdinal + 1)), name.first});
  }
  while (true) {
    const auto step = tail_->groups.next(/*final=*/false);
    if (!step || step->kind == StepKind::kEnd) return tail_->end;
    if (step->kind == StepKind::kFrames) tail_->end = std::max(tail_->end, step->frames.last() + 1);
  }
}

void LedgerReader::Impl::seek(Ordinal place, UnixMs ended) {
  track_.seek(place, ended);
  serving_ = false;
}

Result<LedgerReader::Outcome> LedgerReader::Impl::read(RecordBlock& out) {
  out.clear();
  track_.begin_read();
  while (true) {
    if (serving_) {
      if (auto skipped = serve(out)) return Outcome{std::move(skipped)};
      if (!out.records.empty()) return Outcome{};
      continue;
    }
    const auto ahead = track_.look();
    if (!ahead) return ahead.error();
    if (*ahead == LedgerTrack::Ahead::kEnd) return Outcome{};
    if (*ahead == LedgerTrack::Ahead::kMissing) return Outcome{track_.take_missing()};
    const auto settled = decode();
    if (!settled) return settled.error();
    if (*settled == LedgerTrack::Settled::kNotYet) return Outcome{};
  }
}

std::optional<UnixMs> LedgerReader::Impl::oldest_waiting() {
  if (serving_) return track_.group().min_end();
  track_.begin_read();
  const auto ahead = track_.look();
  if (!ahead || *ahead == LedgerTrack::Ahead::kEnd) return std::nullopt;
  return *ahead == LedgerTrack::Ahead::kMissing ? track_.missing().from : track_.group().min_end();
}

// Begins to serve the group at the place, if it is settled.
Result<LedgerTrack::Settled> LedgerReader::Impl::decode() {
  auto damage = decoder_.decode(track_.file(), track_.group(), block_);
  if (!damage) {
    track_.count_read_error();
    return damage.error();
  }
  if ((damage->frames > 0 || !track_.group().whole()) && track_.doubt())
    return LedgerTrack::Settled::kLookAgain;
  if (damage->frames > 0) {
    const auto settled = track_.is_settled();
    if (!settled || *settled != LedgerTrack::Settled::kYes) return settled;
  }
  damage_ = std::move(*damage);
  serving_ = true;
  const auto from = std::lower_bound(block_.ordinals.begin(), block_.ordinals.end(), track_.place());
  served_ = static_cast<std::size_t>(from - block_.ordinals.begin());
  return LedgerTrack::Settled::kYes;
}

// Hands out the next records that follow one another, or says what is missing before them.
std::optional<Skipped> LedgerReader::Impl::serve(RecordBlock& out) {
  const std::size_t size = block_.ordinals.size();
  const Ordinal next = served_ < size ? block_.ordinals[served_] : track_.group().last() + 1;
  if (next > track_.place()) {
    Skipped skipped = damage_.frames > 0 ? track_.skip(next - 1, RecordReason::kDamaged, damage_.min_start,
                                                       damage_.max_end, damage_.why)
                                         : track_.skip_in_group(next - 1);
    track_.move_to(next);
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
  serving_ = behind <= track_.group().last();
  track_.move_to(behind);
  return std::nullopt;
}

Result<std::unique_ptr<LedgerReader>> LedgerReader::open(const std::string& directory) {
  auto opened = LedgerDirectory::open(directory);
  if (!opened) return opened.error();
  return std::unique_ptr<LedgerReader>(new LedgerReader(std::make_unique<Impl>(std::move(*opened))));
}

LedgerReader::LedgerReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

LedgerReader::~LedgerReader() = default;

Ordinal LedgerReader::begin() {
  return impl_->begin();
}

Ordinal LedgerReader::end() {
  return impl_->end();
}

void LedgerReader::seek(Ordinal place, UnixMs ended) {
  impl_->seek(place, ended);
}

Ordinal LedgerReader::place() const {
  return impl_->place();
}

Result<LedgerReader::Outcome> LedgerReader::read(RecordBlock& out) {
  return impl_->read(out);
}

std::optional<UnixMs> LedgerReader::oldest_waiting() {
  return impl_->oldest_waiting();
}

}  // namespace natsession
