#include "ledger/ledger_open_sessions.h"

#include <vector>

#include "ledger/frame_columns.h"
#include "ledger/ledger_snapshot.h"

namespace natsession {
namespace {

// The rows of an opened frame that tell of sessions with more than one record.
Result<void> choose_rows(FrameColumns& columns, std::vector<std::uint32_t>& rows) {
  const auto events = columns.small(Field::kEvent);
  if (!events) return events.error();
  const auto seqs = columns.counters(Field::kSeq);
  if (!seqs) return seqs.error();
  rows.clear();
  for (std::uint32_t row = 0; row < events->size(); ++row) {
    const auto event = static_cast<RecordEvent>((*events)[row]);
    const bool only_record = event == RecordEvent::kEnd && (*seqs)[row] == 0;
    if (!only_record && event != RecordEvent::kGap) rows.push_back(row);
  }
  return {};
}

class Gatherer {
 public:
  // Damage in a frame costs what that frame tells.
  void add(const OpenSegment& segment, const FramePlace& place) {
    bytes_.resize(place.info.bytes);
    const auto read = segment.file->read_at(place.offset, bytes_);
    if (!read || *read != bytes_.size() || !columns_.open(bytes_)) return;
    if (!choose_rows(columns_, rows_) || rows_.empty()) return;
    block_.clear();
    if (!columns_.materialise(rows_, block_)) return;
    for (const SessionRecord& record : block_.records) sessions_[record.origin->netns].add(record);
  }

  [[nodiscard]] std::map<std::string, OpenSessions> take() { return std::move(sessions_); }

 private:
  std::vector<std::byte> bytes_;
  std::vector<std::uint32_t> rows_;
  FrameColumns columns_;
  RecordBlock block_;
  std::map<std::string, OpenSessions> sessions_;
};

}  // namespace

Result<std::map<std::string, OpenSessions>> read_open_sessions(const std::string& directory, UnixMs from) {
  const auto snapshot = LedgerSnapshot::take(directory);
  if (!snapshot) return snapshot.error();
  Gatherer gatherer;
  for (const SnapshotSegment& segment : snapshot->segments()) {
    if (segment.bounds.frames > 0 && segment.bounds.max_end < from) continue;
    const auto open = snapshot->open(segment);
    if (!open) continue;
    for (const FramePlace& place : open->frames) {
      if (place.info.max_end >= from) gatherer.add(*open, place);
    }
  }
  return gatherer.take();
}

}  // namespace natsession
