#include "restart_state.h"

#include <algorithm>

#include <fmt/format.h>

#include "ledger/frame_columns.h"
#include "ledger/segment_list.h"
#include "messages.h"

namespace natsession {
namespace {

// Records that were lost with the memory of a process that was killed may be a little older than the newest
// one that was written: an end may be told late.
constexpr std::chrono::seconds kSlack{2};

// So old may a session be of which the kernel does not tell when it began. What an older one has moved is not
// known then: its next record says so.
constexpr std::chrono::hours kUsualAge{24};

// The rows of an opened frame that tell of sessions with more than one record.
Result<void> choose_rows(FrameColumns& columns, std::vector<std::uint32_t>& rows) {
  const auto events = columns.small(SmallField::kEvent);
  if (!events) return events.error();
  const auto seqs = columns.seqs();
  if (!seqs) return seqs.error();
  rows.clear();
  for (std::uint32_t row = 0; row < events->size(); ++row) {
    const auto event = static_cast<RecordEvent>((*events)[row]);
    const bool only_record = event == RecordEvent::kEnd && (*seqs)[row] == 0;
    if (!only_record && event != RecordEvent::kGap) rows.push_back(row);
  }
  return {};
}

UnixMs oldest_start(const std::vector<KernelSetup>& setups, UnixMs now) {
  UnixMs oldest = now;
  for (const KernelSetup& setup : setups) {
    const auto start = setup.table->oldest_start();
    if (!start || start->some_unknown) oldest = std::min(oldest, now - kUsualAge);
    if (start && start->known) oldest = std::min(oldest, *start->known);
  }
  return oldest;
}

class Gatherer {
 public:
  Gatherer(const std::vector<Origin>& origins, std::vector<OpenSessions>& open)
      : origins_(origins), open_(open) {}

  // The records that ended at `from` or later. Damage in a frame costs what that frame tells.
  Result<void> read(const std::string& directory, UnixMs from) {
    auto segments = SegmentList::open(directory);
    if (!segments) return segments.error();
    for (const SegmentEntry& entry : segments->entries()) {
      if (entry.bounds.frames == 0 || entry.bounds.max_end < from) continue;
      const auto file = open_segment(segments->directory(), entry.name);
      if (!file) continue;
      const auto found = read_frames(*file);
      if (!found) continue;
      for (const FramePlace& place : found->frames) {
        if (place.info.max_end >= from) add(**file, place);
      }
    }
    return {};
  }

 private:
  void add(const SegmentFile& file, const FramePlace& place) {
    bytes_.resize(place.info.bytes);
    const auto read = file.read_at(place.offset, bytes_);
    if (!read || *read != bytes_.size() || !columns_.open(bytes_)) return;
    if (!choose_rows(columns_, rows_) || rows_.empty()) return;
    block_.clear();
    if (!columns_.materialise(rows_, block_)) return;
    for (const SessionRecord& record : block_.records) {
      for (std::size_t i = 0; i < origins_.size(); ++i) {
        if (origins_[i].netns == record.origin->netns) open_[i].add(record);
      }
    }
  }

  const std::vector<Origin>& origins_;
  std::vector<OpenSessions>& open_;
  std::vector<std::byte> bytes_;
  std::vector<std::uint32_t> rows_;
  FrameColumns columns_;
  RecordBlock block_;
};

}  // namespace

RestartState::RestartState(const Config& config, const std::optional<LedgerWriter::PreviousRun>& previous,
                           const std::vector<KernelSetup>& setups, const std::vector<Origin>& origins)
    : open_(setups.size()) {
  if (!previous) return;
  since_ = previous->crashed ? previous->until - kSlack : previous->until;
  const UnixMs from = std::min(oldest_start(setups, to_ms(SystemClock().now())), *since_);
  if (auto read = Gatherer(origins, open_).read(config.ledger, from); !read) {
    log_warning(fmt::format("{}; sessions that were open then are reported from their beginning again",
                            read.error().message));
    open_.assign(setups.size(), {});
    return;
  }
  std::size_t count = 0;
  for (const OpenSessions& open : open_) count += open.size();
  if (previous->crashed) {
    log_warning(
        fmt::format("the last run ended without a stop: the log has a gap record for the time since; {} "
                    "sessions were open in the ledger",
                    count));
  } else {
    log_info(fmt::format("{} sessions were open in the ledger at the last stop", count));
  }
}

void RestartState::hand_to(CollectorThread& collector, std::size_t index) {
  if (since_) collector.restore(std::move(open_[index]), *since_);
}

}  // namespace natsession
