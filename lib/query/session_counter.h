// SessionCounter: which records of a question stand for a session, so that each is counted once; see group.h.
// Threads: any; it takes a lock once for each batch that needs it.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "query/query.h"
#include "query/scan_batch.h"

namespace natsession {

class SessionCounter {
 public:
  // `oldest`: the end_time of the oldest record that the ledger has.
  SessionCounter(const Query& query, std::optional<UnixMs> oldest);

  // What a batch must have.
  [[nodiscard]] static Columns columns() { return {Field::kSeq, Field::kEvent, Field::kSessionStart}; }

  // For each i below batch.size() that `wanted` says yes to, calls counted(i) if the record stands for a
  // session.
  template <typename Wanted, typename Counted>
  void count(const ScanBatch& batch, Wanted wanted, Counted counted) {
    const auto rows = batch.rows();
    const auto seqs = batch.counters(Field::kSeq);
    const auto events = batch.small(Field::kEvent);
    const auto starts = batch.times(Field::kSessionStart);
    std::vector<std::uint32_t> open_rows;
    std::vector<std::uint32_t> open_places;
    for (std::uint32_t i = 0; i < rows.size(); ++i) {
      const std::uint32_t row = rows[i];
      if (!wanted(i) || events[row] == static_cast<std::uint8_t>(RecordEvent::kGap)) continue;
      const bool first = seqs[row] == 0;
      if (first && events[row] == static_cast<std::uint8_t>(RecordEvent::kEnd)) {
        counted(i);  // its only record
      } else if (sure_ && starts[row] != kUnknownTime && starts[row] >= begin_ms_) {
        if (first) counted(i);
      } else {
        open_rows.push_back(row);
        open_places.push_back(i);
      }
    }
    if (open_rows.empty()) return;
    for (const std::uint32_t place : first_seen(batch, open_rows, open_places)) counted(place);
  }

  // There were more open sessions than are remembered.
  [[nodiscard]] bool cut() const;
  // Frames that damage keeps from being counted; their sessions may be missing in the count.
  [[nodiscard]] ScanReport report() const;
  // Forgets all: the same question is asked again.
  void restart();

 private:
  std::vector<std::uint32_t> first_seen(const ScanBatch& batch, const std::vector<std::uint32_t>& rows,
                                        const std::vector<std::uint32_t>& places);
  bool insert(std::uint64_t id);

  // Whether a session's first record passes the query's tests if any of its others does.
  bool sure_ = true;
  std::int64_t begin_ms_ = 0;

  mutable std::mutex mutex_;
  std::vector<std::uint64_t> slots_;  // ids; 0 is an empty place
  std::size_t size_ = 0;
  bool has_zero_ = false;  // the id that is 0
  bool cut_ = false;
  ScanReport report_;
};

}  // namespace natsession
