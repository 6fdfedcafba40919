#include "query/ledger_view.h"

#include <algorithm>

#include "ledger/segment_walker.h"

namespace natsession {
namespace {

// Nothing but trailers is kept; and no more of them than a year's at one segment a minute.
constexpr std::size_t kMaxKept = 525'600;

// Sealing makes one name and then removes another: a listing that is under way meanwhile may miss both. A
// segment that is in either of two listings was there when the second began.
Result<std::vector<SegmentName>> list_twice(LedgerDirectory& directory) {
  auto first = directory.segments();
  if (!first) return first.error();
  auto names = directory.segments();
  if (!names) return names.error();
  names->insert(names->end(), first->begin(), first->end());
  std::sort(names->begin(), names->end(), [](const SegmentName& a, const SegmentName& b) {
    return a.first != b.first ? a.first < b.first : a.sealed > b.sealed;
  });
  const auto same = [](const SegmentName& a, const SegmentName& b) { return a.first == b.first; };
  names->erase(std::unique(names->begin(), names->end(), same), names->end());
  return names;
}

std::optional<SegmentBounds> bounds_of_sealed(const LedgerDirectory& directory, const SegmentName& name) {
  const auto file = SegmentFile::open(directory, name);
  if (!file) return std::nullopt;
  if (const auto header = (*file)->header(); !header) return std::nullopt;
  const auto trailer = (*file)->trailer();
  if (!trailer || trailer->first != name.first) return std::nullopt;
  return trailer->bounds;
}

}  // namespace

Result<std::shared_ptr<const SegmentFile>> open_segment(const LedgerDirectory& directory,
                                                        const SegmentName& name) {
  auto file = SegmentFile::open(directory, name);
  if (file || name.sealed || file.error().kind != ErrorKind::kUnavailable) return file;
  return SegmentFile::open(directory, SegmentName{name.first, /*sealed=*/true});
}

Result<LedgerView> LedgerView::open(const std::string& directory) {
  auto opened = LedgerDirectory::open(directory);
  if (!opened) return opened.error();
  LedgerView view(std::move(*opened));
  if (auto listed = view.refresh(); !listed) return listed.error();
  return view;
}

Result<void> LedgerView::refresh() {
  const auto names = list_twice(*directory_);
  if (!names) return names.error();
  std::vector<SegmentEntry> entries;
  std::unordered_map<Ordinal, SegmentBounds> sealed;
  for (const SegmentName& name : *names) {
    if (!entries.empty()) entries.back().limit = name.first;
    SegmentEntry entry;
    entry.name = name;
    if (name.sealed) {
      const auto known = sealed_.find(name.first);
      entry.bounds = known != sealed_.end() ? known->second : bounds_of_sealed(*directory_, name);
      if (entry.bounds && sealed.size() < kMaxKept) sealed.emplace(name.first, *entry.bounds);
    }
    entries.push_back(std::move(entry));
  }
  entries_ = std::move(entries);
  sealed_ = std::move(sealed);
  return {};
}

Result<LedgerSpan> LedgerView::span() const {
  LedgerSpan span;
  for (const SegmentEntry& entry : entries_) {
    SegmentBounds bounds;
    if (entry.bounds) {
      bounds = *entry.bounds;
    } else {
      const auto file = open_segment(*directory_, entry.name);
      if (!file) continue;
      const auto walked = bounds_of(*file);
      if (!walked) continue;
      bounds = *walked;
    }
    if (bounds.records == 0) continue;
    const bool first = span.records == 0;
    span.oldest_end = first ? bounds.min_end : std::min(span.oldest_end, bounds.min_end);
    span.newest_end = first ? bounds.max_end : std::max(span.newest_end, bounds.max_end);
    span.oldest_start = first ? bounds.min_start : std::min(span.oldest_start, bounds.min_start);
    span.records += bounds.records;
  }
  return span;
}

}  // namespace natsession
