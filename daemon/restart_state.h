// RestartState: what the ledger tells of the run before: until when it logged, and which sessions had not
// ended in it. These go on in this run: the same session_id, the next seq, and only what was not reported
// yet. A stop leaves a checkpoint; what is behind it, or all where there is none, is read from the records.
// The time in between is a gap. Without a ledger nothing is remembered.
// Threads: the main one, before the collectors run and after.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collector_thread.h"
#include "config/config.h"
#include "kernel_setup.h"
#include "ledger/ledger_writer.h"
#include "session/missed_time.h"
#include "session/open_sessions.h"

namespace natsession {

// The sessions of each of `origins` that had not ended: what the checkpoint tells, and the records behind it;
// but none that ended before `from`. Damage in a frame costs what that frame tells.
// Errors: the ledger's folder cannot be read.
[[nodiscard]] Result<std::vector<CollectorThread::Open>> sessions_left_open(
    const std::string& directory, UnixMs from, const std::vector<const Origin*>& origins);

// The time since the run before logged all there was, in namespace `netns`. Where it did not stop in order,
// sessions that were open then may have no record of what they moved since the last window closed.
[[nodiscard]] MissedTime missed_after(const LedgerWriter::PreviousRun& previous, const std::string& netns,
                                      const Clock& clock);

class RestartState {
 public:
  // `origins` are of the setups, in their order. Faults are told, and what they hide is done without. Where a
  // setup goes on with the events of the run before nothing was missed. `conditions` are those of coverage.
  RestartState(const Config& config, const std::optional<LedgerWriter::PreviousRun>& previous,
               const std::vector<KernelSetup>& setups, const std::vector<const Origin*>& origins,
               std::uint64_t conditions, const Clock& clock);

  // For the collector of setup `index`, before it starts.
  void hand_to(CollectorThread& collector, std::size_t index);

  // After the collectors have ended and all is written: `place` is the end of the ledger.
  // Errors: the file cannot be written; the next run reads the records instead.
  static Result<void> save(const std::string& directory, Ordinal place,
                           const std::vector<std::unique_ptr<CollectorThread>>& collectors);

 private:
  struct Before {
    Continuation continuation;
    EventGroups groups;  // that were watched in all of the time that is covered
    std::chrono::milliseconds away;
  };
  std::vector<std::optional<Before>> before_;  // of each setup that goes on
  // Of each other one; nullopt if there was no run before.
  std::vector<std::optional<MissedTime>> missed_;
  std::vector<std::optional<UnixMs>> logged_since_;  // likewise: since when the ledger covers anything
  std::vector<CollectorThread::Open> open_;          // of each setup
};

}  // namespace natsession
