#include "ledger/ledger_snapshot.h"

#include <utility>

#include "ledger/ledger_catalog.h"

namespace natsession {

Result<LedgerSnapshot> LedgerSnapshot::take(const std::string& directory) {
  auto opened = LedgerDirectory::open(directory);
  if (!opened) return opened.error();
  LedgerCatalog catalog(std::move(*opened));
  if (auto fresh = catalog.refresh(); !fresh) return fresh.error();
  LedgerSnapshot snapshot(std::move(catalog.directory()));
  for (const CatalogEntry& entry : catalog.entries()) {
    if (entry.why.empty()) {
      snapshot.segments_.push_back({entry.name, entry.bounds, entry.bytes});
    } else {
      snapshot.unreadable_.push_back(entry.why);
    }
  }
  return snapshot;
}

Result<OpenSegment> LedgerSnapshot::open(const SnapshotSegment& segment) const {
  // First as it was; then as it may have become.
  auto file = SegmentFile::open(directory_, segment.name);
  if (!file && file.error().kind == ErrorKind::kUnavailable && !segment.name.sealed) {
    file = SegmentFile::open(directory_, {segment.name.first, true});
  }
  if (!file) return file.error();
  OpenSegment open{*file, {}, 0};
  if ((*file)->name().sealed) {
    if (const auto trailer = (*file)->trailer()) {
      if (auto index = (*file)->index(*trailer)) {
        std::uint64_t known = kSegmentHeaderBytes;
        for (const FramePlace& frame : *index) known += frame.info.bytes;
        open.frames = std::move(*index);
        open.damaged_bytes = trailer->index_offset - known;
        return open;
      }
    }
  }
  SegmentWalker walker = walk_segment(*file, kMaxOrdinal + 1);
  while (true) {
    const auto step = walker.next();
    if (!step) return step.error();
    if (step->kind == StepKind::kFrames) {
      open.frames.push_back(step->frames);
    } else {
      open.damaged_bytes += step->bytes;
    }
    if (step->kind == StepKind::kEnd) return open;
    if (open.frames.size() > kMaxIndexEntries) {
      return Error{ErrorKind::kMalformed, "ledger: " + (*file)->path() + ": it has too many frames"};
    }
  }
}

}  // namespace natsession
