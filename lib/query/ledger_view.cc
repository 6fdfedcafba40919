#include "query/ledger_view.h"

#include <algorithm>

#include "ledger/segment_walker.h"
#include "query/ledger_view_state.h"

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
  LedgerView view(std::make_unique<State>(std::move(*opened)));
  if (auto listed = view.refresh(); !listed) return listed.error();
  return view;
}

LedgerView::LedgerView(std::unique_ptr<State> state) : state_(std::move(state)) {}
LedgerView::LedgerView(LedgerView&&) noexcept = default;
LedgerView& LedgerView::operator=(LedgerView&&) noexcept = default;
LedgerView::~LedgerView() = default;

Result<void> LedgerView::refresh() {
  const auto names = list_twice(*state_->directory);
  if (!names) return names.error();
  std::vector<SegmentEntry> entries;
  std::unordered_map<Ordinal, SegmentBounds> sealed;
  for (const SegmentName& name : *names) {
    if (!entries.empty()) entries.back().limit = name.first;
    SegmentEntry entry;
    entry.name = name;
    if (name.sealed) {
      const auto known = state_->sealed.find(name.first);
      entry.bounds =
          known != state_->sealed.end() ? known->second : bounds_of_sealed(*state_->directory, name);
      if (entry.bounds && sealed.size() < kMaxKept) sealed.emplace(name.first, *entry.bounds);
    }
    entries.push_back(std::move(entry));
  }
  state_->entries = std::move(entries);
  state_->sealed = std::move(sealed);
  return {};
}

const std::vector<SegmentEntry>& LedgerView::segments() const {
  return state_->entries;
}

const std::string& LedgerView::path() const {
  return state_->directory->path();
}

Result<LedgerSpan> LedgerView::span() const {
  LedgerSpan span;
  for (const SegmentEntry& entry : state_->entries) {
    SegmentBounds bounds;
    if (entry.bounds) {
      bounds = *entry.bounds;
    } else {
      const auto file = open_segment(*state_->directory, entry.name);
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
