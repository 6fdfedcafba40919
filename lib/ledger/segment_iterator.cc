#include "ledger/segment_iterator.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace natsession {
namespace {

// A read that fails so often at one place will not succeed any more.
constexpr int kMaxReadErrors = 8;
// So often a segment may vanish during one look(); then this is the end for now.
constexpr int kMaxVanished = 8;

}  // namespace

void SegmentIterator::seek(Ordinal place, UnixMs ended) {
  place_ = place;
  segment_.reset();
  group_.reset();
  missing_.reset();
  why_.clear();
  last_end_ = ended;
}

void SegmentIterator::move_to(Ordinal place) {
  place_ = place;
  if (!group_ || group_->last() >= place_) return;
  last_end_ = group_->max_end();
  // What it lacked may be lacking behind it too.
  if (group_->whole()) why_.clear();
  group_.reset();
}

Skipped SegmentIterator::take_missing() {
  Skipped skipped = std::move(*missing_);
  missing_.reset();
  place_ = skipped.last + 1;
  return skipped;
}

Skipped SegmentIterator::skip(Ordinal last, RecordReason reason, UnixMs from, UnixMs until,
                              const std::string& why) {
  Skipped skipped;
  skipped.first = place_;
  skipped.last = last;
  skipped.reason = reason;
  std::tie(skipped.from, skipped.until) = std::minmax(from, until);
  skipped.why = why;
  if (why.empty()) {
    skipped.why = directory_.path() + ": records " + std::to_string(place_) + " to " + std::to_string(last) +
                  (reason == RecordReason::kLedgerFull ? " have been deleted" : " are in no frame");
  }
  return skipped;
}

Skipped SegmentIterator::skip_in_group(Ordinal last) {
  return skip(last, RecordReason::kDamaged, group_->min_end(), group_->max_end(), why_);
}

Result<SegmentIterator::Ahead> SegmentIterator::look() {
  vanished_ = 0;
  while (true) {
    if (missing_) return Ahead::kMissing;
    if (group_ && group_->first() <= place_) return Ahead::kGroup;
    if (group_) {
      if (doubt()) continue;
      missing_ = skip(group_->first() - 1, RecordReason::kDamaged, since(), group_->min_end(), why_);
      continue;
    }
    const auto moved = segment_ ? step() : enter();
    if (!moved) return moved.error();
    if (*moved == Move::kEnd) return Ahead::kEnd;
  }
}

// Opens the segment that the place lies in.
Result<SegmentIterator::Move> SegmentIterator::enter() {
  const auto known = directory_.known_segments();
  if (!known) return known.error();
  const std::vector<SegmentName>& names = **known;
  if (names.empty()) return Move::kEnd;
  const auto behind =
      std::upper_bound(names.begin(), names.end(), place_,
                       [](Ordinal place, const SegmentName& name) { return place < name.first; });
  if (behind == names.begin()) {
    missing_ =
        skip(names.front().first - 1, RecordReason::kLedgerFull, last_end_, created(names.front()), why_);
    return Move::kOn;
  }
  Segment segment;
  segment.name = *std::prev(behind);
  segment.final = behind != names.end();
  if (segment.final) segment.limit = behind->first;

  auto file = SegmentFile::open(directory_, segment.name);
  if (!file && file.error().kind == ErrorKind::kUnavailable) {
    // Deleted, or sealed, since the directory was read.
    directory_.forget();
    return ++vanished_ < kMaxVanished ? Move::kOn : Move::kEnd;
  }
  if (!file && file.error().kind != ErrorKind::kMalformed) return file.error();
  segment_ = std::move(segment);
  if (!file) {
    why_ = file.error().message;
  } else if (const auto header = (*file)->header();
             !header && header.error().kind == ErrorKind::kUnavailable) {
    why_ = (*file)->path() + ": " + header.error().message;
  } else {
    segment_->file = std::move(*file);
    walk_from_start();
    skip_ahead();
  }
  return Move::kOn;
}

void SegmentIterator::walk_from_start() {
  segment_->groups.emplace(walk_segment(segment_->file, segment_->limit));
}

// In a sealed segment the index tells where the place is. Nothing depends on it: without it all frames are
// walked over.
void SegmentIterator::skip_ahead() {
  if (!segment_->name.sealed || place_ == segment_->name.first) return;
  const auto trailer = segment_->file->trailer();
  if (!trailer) return;
  const auto index = segment_->file->index(*trailer);
  if (!index) return;
  // Two frames back: a group may be two frames, and the ordinals of the second end before those of the first.
  const auto found = std::partition_point(
      index->begin(), index->end(), [&](const FramePlace& frame) { return frame.info.first <= place_; });
  const auto before = std::min<std::ptrdiff_t>(found - index->begin(), 3);
  if (before < 3) return;
  segment_->groups->frames().move_to(std::prev(found, before)->offset);
}

// One step in the segment.
Result<SegmentIterator::Move> SegmentIterator::step() {
  GroupWalker::Step step;
  if (segment_->groups) {
    auto taken = segment_->groups->next(segment_->final);
    if (!taken) {
      count_read_error();
      return taken.error();
    }
    read_errors_ = 0;
    step = std::move(*taken);
  }
  switch (step.kind) {
    case StepKind::kFrames:
      if (step.frames.last() >= place_) {
        group_ = step.frames;
        if (!step.why.empty()) note(step);
      } else {
        if (step.frames.whole()) why_.clear();
        last_end_ = step.frames.max_end();
      }
      return Move::kOn;
    case StepKind::kDamage:
      if (!doubt()) note(step);
      return Move::kOn;
    case StepKind::kEnd:
      break;
  }
  return end_of_file(step);
}

Result<SegmentIterator::Move> SegmentIterator::end_of_file(const GroupWalker::Step& step) {
  if (segment_->groups && segment_->groups->frames().overtaken()) {
    walk_from_start();
    return Move::kOn;
  }
  if (segment_->final) {
    if (step.bytes > 0) {
      if (doubt()) return Move::kOn;
      note(step);
    }
    return leave();
  }
  if (segment_->file && segment_->file->deleted()) {
    // Sealed meanwhile, or made anew.
    segment_.reset();
    directory_.forget();
    return ++vanished_ < kMaxVanished ? Move::kOn : Move::kEnd;
  }
  const auto final = becomes_final();
  if (!final) return final.error();
  return *final ? Move::kOn : Move::kEnd;
}

bool SegmentIterator::doubt() {
  if (segment_->name.sealed || !segment_->file || fresh_) return false;
  fresh_ = true;
  group_.reset();
  walk_from_start();
  return true;
}

void SegmentIterator::note(const GroupWalker::Step& step) {
  why_ = segment_->file->path() + ", offset " + std::to_string(step.offset) + ", " +
         std::to_string(step.bytes) + " bytes: " + step.why;
}

// Whether there is a segment behind this one now. What was added before that one was made is still to be
// walked over.
Result<bool> SegmentIterator::becomes_final() {
  const auto next = successor();
  if (!next) return next.error();
  if (!*next) return false;
  segment_->final = true;
  segment_->limit = (*next)->first;
  if (segment_->groups) segment_->groups->frames().set_limit(segment_->limit);
  return true;
}

Result<std::optional<SegmentName>> SegmentIterator::successor() {
  const auto known = directory_.known_segments();
  if (!known) return known.error();
  for (const SegmentName& name : **known) {
    if (name.first > segment_->name.first) return std::optional(name);
  }
  return std::optional<SegmentName>();
}

// The segment has nothing more: on to the next one.
Result<SegmentIterator::Move> SegmentIterator::leave() {
  const auto next = successor();
  if (!next) return next.error();
  if (!*next) {
    segment_->final = false;  // the one behind is gone: all there is has been deleted
    return Move::kEnd;
  }
  if ((*next)->first > place_) {
    if (doubt()) return Move::kOn;
    const auto known = directory_.known_segments();
    if (!known) return known.error();
    // Before the oldest that is left records have been deleted, unless something is known to be damaged.
    const bool deleted = why_.empty() && (*known)->front() == **next;
    missing_ = skip((*next)->first - 1, deleted ? RecordReason::kLedgerFull : RecordReason::kDamaged, since(),
                    created(**next), why_);
  }
  segment_.reset();
  return Move::kOn;
}

// All records in the segments before it had ended when it was made. If that cannot be told, what was met last
// is all that is known.
UnixMs SegmentIterator::created(const SegmentName& name) const {
  const auto file = SegmentFile::open(directory_, name);
  if (!file) return last_end_;
  const auto header = (*file)->header();
  return header ? header->created : last_end_;
}

// When what is missing at the place, in this segment or behind it, may have ended at the earliest.
UnixMs SegmentIterator::since() const {
  return last_end_ == UnixMs() && segment_ ? created(segment_->name) : last_end_;
}

Result<SegmentIterator::Settled> SegmentIterator::is_settled() {
  if (segment_->final) return Settled::kYes;
  GroupWalker further = *segment_->groups;
  const auto next = further.next(/*final=*/false);
  if (!next) return next.error();
  if (next->kind != StepKind::kEnd) return Settled::kYes;
  const auto final = becomes_final();
  if (!final) return final.error();
  walk_from_start();
  group_.reset();
  return *final ? Settled::kLookAgain : Settled::kNotYet;
}

void SegmentIterator::count_read_error() {
  if (++read_errors_ >= kMaxReadErrors && segment_ && segment_->file) {
    segment_->file->read_bad_sectors_as_zeros();
  }
}

}  // namespace natsession
