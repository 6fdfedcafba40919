// RestartState: what the ledger tells of the run before: until when it logged, and which sessions had not
// ended in it. These go on in this run: the same session_id, the next seq, and only what was not reported
// yet. After a stop and after a kill it is the same; the time in between is a gap. Without a ledger nothing
// is remembered.
// Threads: the main one, before the collectors run.
#pragma once

#include <optional>
#include <vector>

#include "collector_thread.h"
#include "config/config.h"
#include "kernel_setup.h"
#include "ledger/ledger_writer.h"
#include "session/open_sessions.h"

namespace natsession {

class RestartState {
 public:
  // Reads the ledger as far back as the oldest session that is open now began. `origins` are of the setups,
  // in their order. Faults are told, and what they hide is done without.
  RestartState(const Config& config, const std::optional<LedgerWriter::PreviousRun>& previous,
               const std::vector<KernelSetup>& setups, const std::vector<Origin>& origins);

  // For the collector of setup `index`, before it starts.
  void hand_to(CollectorThread& collector, std::size_t index);

 private:
  std::optional<UnixMs> since_;     // when the gap begins; nullopt if there was no run before
  std::vector<OpenSessions> open_;  // of each setup
};

}  // namespace natsession
