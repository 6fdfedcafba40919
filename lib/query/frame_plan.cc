#include "query/frame_plan.h"

#include <algorithm>

namespace natsession {
namespace {

// That a walk looks for at a time.
constexpr std::size_t kFewFrames = 256;

UnixMs earlier(UnixMs time, std::chrono::milliseconds by) {
  return time < UnixMs::min() + by ? UnixMs::min() : time - by;
}

std::string in_segment(const SegmentFile& file, std::uint64_t offset, const std::string& why) {
  return file.path() + ", offset " + std::to_string(offset) + ": " + why;
}

// Whether two frames belong together, their ordinals between each other's: where long sessions stand apart.
bool interleaved(const FrameInfo& before, const FrameInfo& frame) {
  return before.first < frame.first && frame.first < before.last &&
         before.long_sessions != frame.long_sessions;
}

}  // namespace

FramePlan::FramePlan(const LogStore& ledger, const Query& query, bool newest_first)
    : directory_(ledger.ledger() != nullptr ? ledger.ledger()->shared_directory() : nullptr),
      start_(query.start),
      end_(query.end),
      moments_(query.moments),
      ready_(query.ready),
      newest_first_(newest_first) {
  if (ledger.ledger() == nullptr) return;
  for (const SegmentEntry& entry : ledger.ledger()->entries()) {
    window_ = std::max(window_, entry.window);
    if (entry.settled) {
      const SegmentBounds& bounds = entry.bounds;
      // Where records are missing at the end of a segment, its times do not tell which.
      const bool whole = entry.limit > kMaxOrdinal || bounds.end == entry.limit;
      const auto* const ready = ready_ ? ready_->find(entry.name.first) : nullptr;
      if (ready != nullptr && ready->gaps.empty() && ready_->end.covers(bounds.min_end, bounds.max_end)) {
        report_.frames_skipped += bounds.frames;
        continue;
      }
      if (whole &&
          (!start_.meets(bounds.min_start, bounds.max_start) || !end_.meets(bounds.min_end, bounds.max_end) ||
           !in_a_moment(bounds.min_start, bounds.max_end))) {
        report_.frames_skipped += bounds.frames;
        continue;
      }
      expected_ += bounds.frames;
    }
    entries_.push_back(entry);
  }
  if (newest_first_) std::reverse(entries_.begin(), entries_.end());
}

bool FramePlan::in_a_moment(UnixMs lowest, UnixMs highest) const {
  if (moments_.empty()) return true;
  // The first that does not end before: no earlier one can meet, and no later one if it does not.
  const auto found = std::lower_bound(
      moments_.begin(), moments_.end(), lowest,
      [](const TimeRange& moment, UnixMs time) { return moment.until && *moment.until < time; });
  return found != moments_.end() && found->meets(lowest, highest);
}

// Whether nothing in a frame has to be read: sums tell of all its records.
bool FramePlan::is_ready(const FrameInfo& frame) const {
  if (ready_segment_ == nullptr || !ready_->end.covers(frame.min_end, frame.max_end)) return false;
  const auto& gaps = ready_segment_->gaps;
  const auto gap = std::lower_bound(gaps.begin(), gaps.end(), frame.first);
  return gap == gaps.end() || *gap > frame.last;
}

std::optional<FrameTask> FramePlan::next() {
  while (next_task_ == tasks_.size()) {
    tasks_.clear();
    next_task_ = 0;
    if (walk_) {
      walk_on();
    } else if (!enter()) {
      return std::nullopt;
    }
    if (newest_first_) std::reverse(tasks_.begin(), tasks_.end());
    expected_ += tasks_.size();
  }
  return std::move(tasks_[next_task_++]);
}

// False when there is no segment left.
bool FramePlan::enter() {
  if (next_entry_ == entries_.size() || !error_) return false;
  const SegmentEntry& entry = entries_[next_entry_++];
  if (entry.settled) expected_ -= std::min(expected_, entry.bounds.frames);
  seen_ = entry.name.first;
  ready_segment_ = ready_ ? ready_->find(seen_) : nullptr;
  before_.reset();
  damage_.reset();

  TimeRange time;
  std::uint64_t records = 0;
  if (entry.settled) {
    time = {entry.bounds.min_end, entry.bounds.max_end};
    records = entry.bounds.records;
  }
  auto file = open_segment(*directory_, entry.name);
  if (!file) {
    if (file.error().kind == ErrorKind::kPermission) {
      error_ = file.error();
      return false;
    }
    const bool deleted = file.error().kind == ErrorKind::kUnavailable;
    tell({deleted ? TroubleKind::kVanished : TroubleKind::kDamaged, time, records, file.error().message});
    return true;
  }
  if (const auto header = (*file)->header(); !header && header.error().kind == ErrorKind::kUnavailable) {
    tell({TroubleKind::kNewer, time, records, (*file)->path() + ": " + header.error().message});
    return true;
  }
  ++report_.segments;
  if (plan_by_index(entry, *file)) return true;
  walk_.emplace(Walk{*file, walk_segment(*file, entry.limit), entry.limit});
  walk_->grows = entry.limit > kMaxOrdinal && !(*file)->name().sealed;
  return true;
}

bool FramePlan::plan_by_index(const SegmentEntry& entry, const std::shared_ptr<const SegmentFile>& file) {
  if (!file->name().sealed) return false;
  const auto trailer = file->trailer();
  if (!trailer || trailer->first != entry.name.first || trailer->bounds.frames > kMaxPlanned) return false;
  auto frames = file->index(*trailer);
  if (!frames) return false;
  std::uint64_t behind = kSegmentHeaderBytes;
  for (const FramePlace& frame : *frames) {
    const FrameInfo& info = frame.info;
    const bool possible = frame.offset >= behind && info.first >= entry.name.first &&
                          info.first <= info.last && info.last < entry.limit &&
                          info.bytes >= kFrameHeaderBytes && info.bytes <= kMaxFrameBytes;
    if (!possible) return false;
    behind = frame.offset + info.bytes;
  }
  for (FramePlace& frame : *frames) add(file, std::move(frame));
  leave(*file, entry.limit);
  return true;
}

void FramePlan::walk_on() {
  const std::size_t enough = newest_first_ ? kMaxPlanned : kFewFrames;
  while (tasks_.size() < enough) {
    const std::uint64_t offset = walk_->walker.offset();
    auto step = walk_->walker.next();
    if (!step) {
      damage_ = in_segment(*walk_->file, offset, step.error().message);
      leave(*walk_->file, walk_->limit);
      walk_.reset();
      return;
    }
    if (step->kind == StepKind::kDamage) {
      walked_over_damage(*step);
      continue;
    }
    if (step->kind == StepKind::kEnd) {
      // A frame that is cut off at the end of the newest segment is one that is being written.
      if (step->bytes > 0 && !walk_->grows) damage_ = in_segment(*walk_->file, step->offset, step->why);
      leave(*walk_->file, walk_->limit);
      walk_.reset();
      return;
    }
    add(walk_->file, std::move(step->frames));
  }
}

void FramePlan::walked_over_damage(const SegmentWalker::Step& step) {
  // A writer may just have replaced a torn end: what is damaged when it is seen again is.
  if (walk_->doubted != step.offset && !walk_->file->name().sealed) {
    walk_->doubted = step.offset;
    walk_->walker.move_to(step.offset);
    return;
  }
  damage_ = in_segment(*walk_->file, step.offset, std::to_string(step.bytes) + " bytes: " + step.why);
}

// Tells what is missing before a frame, by its ordinals or because something that is no frame stands there.
void FramePlan::tell_missing(const SegmentFile& file, Ordinal next, std::optional<UnixMs> until) {
  if (!damage_ && next <= seen_) return;
  Trouble trouble;
  trouble.records = next > seen_ ? next - seen_ : 0;
  trouble.why = damage_ ? *damage_
                        : file.path() + ": records " + std::to_string(seen_) + " to " +
                              std::to_string(next - 1) + " are missing";
  if (before_) trouble.time.from = before_->min_end;
  trouble.time.until = until;
  tell(std::move(trouble));
  damage_.reset();
}

// The segment is read to its end.
void FramePlan::leave(const SegmentFile& file, Ordinal limit) {
  tell_missing(file, limit > kMaxOrdinal ? seen_ : limit, std::nullopt);
}

void FramePlan::add(const std::shared_ptr<const SegmentFile>& file, FramePlace place) {
  const FrameInfo& info = place.info;
  tell_missing(*file, info.first, info.max_end);
  const bool twice = info.last < seen_ && !(before_ && interleaved(*before_, info));
  const Ordinal from = before_ && interleaved(*before_, info) ? 0 : seen_;
  seen_ = std::max(seen_, info.last + 1);
  before_ = info;
  if (twice || !start_.meets(info.min_start, info.max_start) || !end_.meets(info.min_end, info.max_end) ||
      !in_a_moment(info.min_start, info.max_end) || is_ready(info)) {
    ++report_.frames_skipped;
    return;
  }
  if (!info.readable) {
    tell({TroubleKind::kNewer,
          {info.min_end, info.max_end},
          info.records,
          in_segment(*file, place.offset, info.why)});
    return;
  }
  tasks_.push_back({file, std::move(place), from, ready_segment_ != nullptr, {}, {}});
}

void FramePlan::tell(Trouble trouble) {
  const UnixMs lowest = trouble.time.from.value_or(UnixMs::min());
  const UnixMs highest = trouble.time.until.value_or(UnixMs::max());
  // A record may have begun a window before its end: what a stretch of damage may have held is not known
  // better.
  const UnixMs lowest_start = earlier(lowest, window_);
  if (!end_.meets(lowest, highest) || !start_.meets(lowest_start, highest) ||
      !in_a_moment(lowest_start, highest))
    return;
  ++report_.trouble_count;
  if (report_.troubles.size() < ScanReport::kMaxTold) report_.troubles.push_back(std::move(trouble));
}

}  // namespace natsession
