// What a configuration asks of ledger, sinks and delivery.
// Threads: the main one.
#pragma once

#include <memory>
#include <vector>

#include "config/config.h"
#include "delivery/settings.h"
#include "flow/flow_resource.h"
#include "flow_log_times.h"
#include "ledger/ledger_settings.h"

namespace natsession {

[[nodiscard]] LedgerSettings ledger_settings(const Config& config);

// All that records go to: the sinks, then the destinations of flow logs that are on.
[[nodiscard]] std::vector<const SinkConfig*> destinations(const Config& config);

// Opens all destinations or none, in this order. What a URL says of batches goes before the configuration.
// `interfaces` outlives the sinks; `times` are of flow logs, where a ledger tells.
// Shape:  of `runners` one for each that has a command(), in their order.
// Errors: as open_sinks() in sink/registry.h.
[[nodiscard]] Result<std::vector<SinkSpec>> make_sinks(const Config& config, const Clock& clock,
                                                       std::vector<std::unique_ptr<CommandRunner>> runners,
                                                       const InterfaceDirectory& interfaces,
                                                       const std::vector<FlowLogTimes>& times,
                                                       const SinkIdentity& identity);

}  // namespace natsession
