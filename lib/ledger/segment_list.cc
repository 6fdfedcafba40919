#include "ledger/segment_list.h"

#include <sys/stat.h>

#include <algorithm>

#include <fcntl.h>

namespace natsession {

Result<SegmentList> SegmentList::open(const std::string& directory) {
  auto opened = LedgerDirectory::open(directory);
  if (!opened) return opened.error();
  SegmentList list(std::move(*opened));
  auto coverage = read_coverage(directory);
  if (coverage) {
    list.coverage_ = std::move(*coverage);
  } else if (coverage.error().kind != ErrorKind::kUnavailable) {
    return coverage.error();
  }
  if (auto fresh = list.refresh(); !fresh) return fresh.error();
  return list;
}

Result<void> SegmentList::refresh() {
  const auto names = directory_->segments();
  if (!names) return names.error();
  std::vector<SegmentEntry> fresh;
  fresh.reserve(names->size());
  auto known = entries_.begin();
  for (std::size_t index = 0; index < names->size(); ++index) {
    const SegmentName& name = (*names)[index];
    while (known != entries_.end() && known->name.first < name.first) ++known;
    const bool last = index + 1 == names->size();
    const bool unchanged = known != entries_.end() && known->name == name && !known->last && !last;
    auto entry = unchanged ? std::optional(*known) : look_at(name);
    if (!entry) continue;  // gone again
    entry->last = last;
    entry->limit = last ? kMaxOrdinal + 1 : (*names)[index + 1].first;
    fresh.push_back(std::move(*entry));
  }
  entries_ = std::move(fresh);
  return {};
}

std::optional<SegmentEntry> SegmentList::look_at(const SegmentName& name) {
  SegmentEntry entry;
  entry.name = name;
  struct stat status {};
  if (::fstatat(directory_->segments_fd(), name.text().c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::nullopt;
  }
  entry.bytes = static_cast<std::uint64_t>(status.st_size);
  entry.changed = UnixMs(std::chrono::seconds(status.st_mtim.tv_sec));
  entry.bounds.end = name.first;
  const bool is_tail =
      !name.sealed && tail_ && tail_->name() == name && !tail_->deleted() && !tail_walker_->overtaken();
  if (!is_tail) {
    auto file = SegmentFile::open(*directory_, name);
    if (!file) {
      entry.why = file.error().message;
      return entry;
    }
    if (name.sealed) {
      const auto header = (*file)->header();
      const auto trailer = (*file)->trailer();
      if (header) entry.created = header->created;
      if (header && header->window.count() > 0) entry.window = header->window;
      entry.settled = header && trailer && trailer->first == name.first;
      if (entry.settled) entry.seal = trailer->checksum;
      if (::fstatat(directory_->segments_fd(), name.sums().c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
        entry.sums_bytes = static_cast<std::uint64_t>(status.st_size);
      const auto bounds = entry.settled ? Result<SegmentBounds>(trailer->bounds) : bounds_of(*file);
      if (bounds) {
        entry.bounds = *bounds;
      } else {
        entry.why = (*file)->path() + ": " + bounds.error().message;
      }
      return entry;
    }
    tail_ = std::move(*file);
    tail_walker_.emplace(tail_);
    tail_bounds_ = {};
    tail_bounds_.end = name.first;
  }
  const auto header = tail_->header();
  if (!header && header.error().kind != ErrorKind::kMalformed) {
    entry.why = tail_->path() + ": " + header.error().message;  // a newer version's
    return entry;
  }
  if (header) entry.created = header->created;
  if (header && header->window.count() > 0) entry.window = header->window;
  while (true) {
    const auto step = tail_walker_->next();
    if (!step) entry.why = step.error().message;
    if (!step || step->kind == StepKind::kEnd) break;
    if (step->kind == StepKind::kFrames) tail_bounds_.add(step->frames.info);
  }
  entry.bounds = tail_bounds_;
  return entry;
}

void SegmentList::set_sums_bytes(Ordinal first, std::uint64_t bytes) {
  for (SegmentEntry& entry : entries_) {
    if (entry.name.first == first) entry.sums_bytes = bytes;
  }
}

LedgerSpan SegmentList::span() const {
  LedgerSpan span;
  for (const SegmentEntry& entry : entries_) {
    const SegmentBounds& bounds = entry.bounds;
    if (bounds.records == 0) continue;
    if (span.records == 0) span = {0, bounds.min_end, bounds.max_end, bounds.min_start};
    span.records += bounds.records;
    span.oldest_end = std::min(span.oldest_end, bounds.min_end);
    span.newest_end = std::max(span.newest_end, bounds.max_end);
    span.oldest_start = std::min(span.oldest_start, bounds.min_start);
  }
  return span;
}

std::chrono::milliseconds SegmentList::window_since(UnixMs time) const {
  std::optional<std::chrono::milliseconds> longest;
  for (const SegmentEntry& entry : entries_) {
    const bool behind = entry.last || entry.bounds.records == 0 || entry.bounds.max_end >= time;
    if (behind) longest = std::max(longest.value_or(entry.window), entry.window);
  }
  return longest.value_or(kUnnamedWindow);
}

UnixMs SegmentList::whole_since() const {
  if (entries_.empty()) return UnixMs::max();
  return entries_.front().name.first == 0 ? UnixMs::min() : entries_.front().created;
}

std::vector<Coverage> SegmentList::coverage() const {
  std::vector<Coverage> proved;
  const Ordinal end = entries_.empty() ? 0 : entries_.back().bounds.end;
  for (CoverageClaim& claim : proved_claims(coverage_, end)) {
    Coverage& coverage = claim.coverage;
    coverage.from = std::max(coverage.from, whole_since());
    if (coverage.from <= coverage.until) proved.push_back(std::move(coverage));
  }
  return proved;
}

Result<std::shared_ptr<const SegmentFile>> open_segment(const LedgerDirectory& directory,
                                                        const SegmentName& name) {
  auto file = SegmentFile::open(directory, name);
  if (file || name.sealed || file.error().kind != ErrorKind::kUnavailable) return file;
  return SegmentFile::open(directory, {name.first, /*sealed=*/true});
}

Result<SegmentFrames> read_frames(const std::shared_ptr<const SegmentFile>& file) {
  SegmentFrames found;
  if (file->name().sealed) {
    if (const auto trailer = file->trailer()) {
      if (auto index = file->index(*trailer)) {
        std::uint64_t known = file->frames_begin();
        for (const FramePlace& frame : *index) known += frame.info.bytes;
        found.frames = std::move(*index);
        found.damaged_bytes = trailer->frames_end() - known;
        return found;
      }
    }
  }
  SegmentWalker walker = walk_segment(file, kMaxOrdinal + 1);
  while (true) {
    const auto step = walker.next();
    if (!step) return step.error();
    if (step->kind == StepKind::kFrames) {
      found.frames.push_back(step->frames);
    } else {
      found.damaged_bytes += step->bytes;
    }
    if (step->kind == StepKind::kEnd) return found;
    if (found.frames.size() > kMaxIndexEntries) {
      return Error{ErrorKind::kMalformed, "ledger: " + file->path() + ": it has too many frames"};
    }
  }
}

}  // namespace natsession
