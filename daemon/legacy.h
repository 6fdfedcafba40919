// Legacy: what an earlier run left for this one, and what this one leaves for the next: the sessions that
// were open. A state file says all of it, where the earlier run could write one; else the ledger tells what
// was written down, and the time since then is a gap.
// Threads: the main one, before the collectors run and after.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collector_thread.h"
#include "config/config.h"
#include "delivery/ledger_port.h"
#include "kernel_setup.h"
#include "record/open_sessions.h"

namespace natsession {

class Legacy {
 public:
  // `ledger` may be null. It is looked at now; `config` outlives the object.
  Legacy(const Config& config, const LedgerPort* ledger);

  // Reads what there is. `origins` are of the setups, in their order. Faults are told, and what they hide is
  // done without.
  void read(const std::vector<KernelSetup>& setups, const std::vector<const Origin*>& origins);

  // For the collector of setup `index`, before it starts.
  void hand_to(CollectorThread& collector, std::size_t index);

  // After it has ended. Without a state file nothing is left.
  // Errors: the file cannot be written.
  Result<void> save(CollectorThread& collector, std::size_t index) const;

 private:
  struct Place {
    std::string state_file;  // empty: none
    std::string boot_id;
    std::optional<SessionState> state;
    std::optional<OpenSessions> open;
  };

  void read_state(Place& place) const;
  void read_ledger(const std::vector<KernelSetup>& setups, const std::vector<const Origin*>& origins);
  [[nodiscard]] std::string state_file_of(const std::string& netns) const;

  const Config& config_;
  std::optional<UnixMs> torn_since_;  // the ledger ends in a crash
  std::vector<Place> places_;
};

}  // namespace natsession
