#include "ledger/ledger_catalog.h"

#include <sys/stat.h>

#include <algorithm>

#include <fcntl.h>

namespace natsession {

Result<void> LedgerCatalog::refresh() {
  const auto names = directory_.segments();
  if (!names) return names.error();
  std::vector<CatalogEntry> fresh;
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

std::optional<CatalogEntry> LedgerCatalog::look_at(const SegmentName& name) {
  CatalogEntry entry;
  entry.name = name;
  struct stat status {};
  if (::fstatat(directory_.segments_fd(), name.text().c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::nullopt;
  }
  entry.bytes = static_cast<std::uint64_t>(status.st_size);
  entry.changed = UnixMs(std::chrono::seconds(status.st_mtim.tv_sec));
  entry.bounds.end = name.first;
  if (name.sealed || !tail_ || tail_->name() != name || tail_->deleted() || tail_walker_->overtaken()) {
    auto file = SegmentFile::open(directory_, name);
    if (!file) {
      entry.why = file.error().message;
      return entry;
    }
    if (name.sealed) {
      const auto bounds = bounds_of(*file);
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
  while (true) {
    const auto step = tail_walker_->next();
    if (!step) entry.why = step.error().message;
    if (!step || step->kind == StepKind::kEnd) break;
    if (step->kind == StepKind::kFrames) tail_bounds_.add(step->frames.info);
  }
  entry.bounds = tail_bounds_;
  return entry;
}

}  // namespace natsession
