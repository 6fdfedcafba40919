#include "restart_state.h"

#include <algorithm>

#include <fmt/format.h>

#include "ledger/frame_columns.h"
#include "ledger/ledger_recovery.h"
#include "ledger/segment_list.h"
#include "messages.h"
#include "session/window_schedule.h"

namespace natsession {
namespace {

// Records that were lost with the memory of a process that was killed may be a little older than the newest
// one that was written: an end may be told late.
constexpr std::chrono::seconds kSlack{2};

constexpr std::uint64_t kGroupsOfConditions = 0xff;

// Sessions that are over are looked for so far back, and those of which the kernel does not tell when they
// began. What an older one has moved is not known then: its next record says so.
constexpr std::chrono::hours kUsualAge{24};

// The rows of an opened frame that tell of sessions with more than one record.
Result<void> choose_rows(FrameColumns& columns, std::vector<std::uint32_t>& rows) {
  const auto events = columns.small(Field::kEvent);
  if (!events) return events.error();
  const auto seqs = columns.counters(Field::kSeq);
  if (!seqs) return seqs.error();
  rows.clear();
  for (std::uint32_t row = 0; row < events->size(); ++row) {
    const auto event = static_cast<RecordEvent>((*events)[row]);
    const bool only_record = event == RecordEvent::kEnd && is_first((*seqs)[row]);
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
  Gatherer(const std::vector<const Origin*>& origins, std::vector<CollectorThread::Open>& open)
      : origins_(origins), open_(open) {}

  // As sessions_left_open().
  Result<void> read(const std::string& directory, UnixMs from) {
    auto segments = SegmentList::open(directory);
    if (!segments) return segments.error();
    Ordinal place = begin_with_checkpoint(directory);
    if (segments->entries().empty() || segments->entries().back().bounds.end < place) {
      forget();  // the machine fell, and lost records that the checkpoint was behind
      place = 0;
    }
    for (const SegmentEntry& entry : segments->entries()) {
      if (entry.bounds.frames == 0 || entry.bounds.end <= place) continue;
      if (entry.bounds.max_end < from) {
        pass_over();
        continue;
      }
      const auto file = open_segment(segments->directory(), entry.name);
      if (!file) continue;
      const auto found = read_frames(*file);
      if (!found) continue;
      for (const FramePlace& frame : found->frames) {
        if (frame.info.last < place) continue;
        if (frame.info.max_end < from) {
          pass_over();
        } else {
          add(**file, frame);
        }
      }
    }
    return {};
  }

 private:
  Ordinal begin_with_checkpoint(const std::string& directory) {
    const auto place = read_checkpoint(directory, [this](const RecordBlock& block) {
      for_each_of(block, [](OpenSessions& open, const SessionRecord& total) { open.add_total(total); });
    });
    if (place && *place) return **place;
    if (!place) log_warning(fmt::format("{}; the records are read instead", place.error().message));
    forget();
    return 0;
  }

  // Records are not read: what the checkpoint told is not to be relied on. Once records have been read (a
  // clock that was set back may put older ones behind them), a hole in a session's seq tells that one is
  // missing.
  void pass_over() {
    if (!reading_) forget();
  }
  void forget() {
    for (CollectorThread::Open& open : open_) open = {};
  }

  void for_each_of(const RecordBlock& block,
                   const std::function<void(OpenSessions&, const SessionRecord&)>& call) {
    for (const SessionRecord& record : block.records) {
      for (std::size_t i = 0; i < origins_.size(); ++i) {
        if (origins_[i]->netns != record.origin->netns) continue;
        call(record.flow == 0 ? open_[i].log : open_[i].flows[record.flow], record);
      }
    }
  }

  void add(const SegmentFile& file, const FramePlace& frame) {
    reading_ = true;
    bytes_.resize(frame.info.bytes);
    const auto read = file.read_at(frame.offset, bytes_);
    if (!read || *read != bytes_.size() || !columns_.open(bytes_, file.peers())) return;
    if (!choose_rows(columns_, rows_) || rows_.empty()) return;
    block_.clear();
    if (!columns_.materialise(rows_, block_)) return;
    for_each_of(block_, [](OpenSessions& open, const SessionRecord& record) { open.add(record); });
  }

  const std::vector<const Origin*>& origins_;
  std::vector<CollectorThread::Open>& open_;
  std::vector<std::byte> bytes_;
  std::vector<std::uint32_t> rows_;
  FrameColumns columns_;
  RecordBlock block_;
  bool reading_ = false;
};

}  // namespace

Result<std::vector<CollectorThread::Open>> sessions_left_open(const std::string& directory, UnixMs from,
                                                              const std::vector<const Origin*>& origins) {
  std::vector<CollectorThread::Open> open(origins.size());
  if (auto read = Gatherer(origins, open).read(directory, from); !read) return read.error();
  return open;
}

MissedTime missed_after(const LedgerWriter::PreviousRun& previous, const std::string& netns,
                        const Clock& clock) {
  const auto& claims = previous.coverage;
  // The last one, not the latest: the clock may have been set back since another.
  const auto last = std::find_if(claims.rbegin(), claims.rend(),
                                 [&](const CoverageClaim& claim) { return claim.coverage.netns == netns; });
  if (last == claims.rend())
    return missed_since(previous.crashed ? previous.until - kSlack : previous.until, previous.booted, clock);
  const Coverage& coverage = last->coverage;
  const auto window = coverage.conditions.window;
  const bool by_window = !coverage.whole && window.count() > 0;
  return missed_since(by_window ? window_of(coverage.until, window) : coverage.until, last->booted, clock);
}

RestartState::RestartState(const Config& config, const std::optional<LedgerWriter::PreviousRun>& previous,
                           const std::vector<KernelSetup>& setups, const std::vector<const Origin*>& origins,
                           std::uint64_t conditions, const Clock& clock)
    : before_(setups.size()), missed_(setups.size()), logged_since_(setups.size()), open_(setups.size()) {
  const UnixMs now = to_ms(clock.now());
  bool all_go_on = true;
  for (std::size_t i = 0; i < setups.size(); ++i) {
    all_go_on = all_go_on && setups[i].before;
    if (!setups[i].before) continue;
    before_[i] = Before{setups[i].before->continuation, {}, setups[i].away};
    before_[i]->groups = groups_of(setups[i].before->conditions);
    // What coverage means has changed: it begins where the run before had told all. Groups may change.
    if (((setups[i].before->conditions ^ conditions) & ~kGroupsOfConditions) != 0)
      before_[i]->continuation.covered_from = before_[i]->continuation.complete_until.wall;
  }
  if (!previous) return;
  UnixMs from = oldest_start(setups, now);
  const std::vector<std::string> namespaces = watched_namespaces(config);
  bool set_back = false;
  for (std::size_t i = 0; i < missed_.size(); ++i) {
    if (before_[i]) from = std::min(from, before_[i]->continuation.complete_until.wall - kUsualAge);
    if (before_[i]) continue;
    missed_[i] = missed_after(*previous, namespaces[i], clock);
    for (const CoverageClaim& claim : previous->coverage) {
      if (claim.coverage.netns != namespaces[i]) continue;
      logged_since_[i] = std::min(logged_since_[i].value_or(claim.coverage.from), claim.coverage.from);
    }
    from = std::min(from, missed_[i]->since - kUsualAge);
    set_back = set_back || missed_[i]->by_old_clock;
  }
  if (set_back) {
    log_warning(
        "the clock was set back since the last run logged: the log has a gap record by the clock of then, "
        "and "
        "one by that of now");
  }
  auto left_open = sessions_left_open(config.ledger, from, origins);
  if (!left_open) {
    log_warning(fmt::format("{}; sessions that were open then are reported from their beginning again",
                            left_open.error().message));
    return;
  }
  open_ = std::move(*left_open);
  std::size_t count = 0;
  for (const CollectorThread::Open& open : open_) count += open.log.size();
  if (all_go_on) {
    log_info(fmt::format("{} sessions were open in the ledger when the run before ended", count));
  } else if (previous->crashed) {
    log_warning(
        fmt::format("the last run ended without a stop: the log has a gap record for the time since; {} "
                    "sessions were open in the ledger",
                    count));
  } else {
    log_info(fmt::format("{} sessions were open in the ledger at the last stop", count));
  }
}

void RestartState::hand_to(CollectorThread& collector, std::size_t index) {
  if (before_[index])
    return collector.restore(std::move(open_[index]), before_[index]->continuation, before_[index]->groups,
                             before_[index]->away);
  if (missed_[index]) collector.restore(std::move(open_[index]), *missed_[index], logged_since_[index]);
}

Result<void> RestartState::save(const std::string& directory, Ordinal place,
                                const std::vector<std::unique_ptr<CollectorThread>>& collectors) {
  std::vector<SessionRecord> totals;
  for (const auto& collector : collectors) collector->take_open(totals);
  return write_checkpoint(directory, place, to_ms(SystemClock().now()), totals);
}

}  // namespace natsession
