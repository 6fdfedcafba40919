// What a configuration asks of ledger, sinks and delivery.
// Threads: the main one.
#pragma once

#include <memory>
#include <vector>

#include "config/config.h"
#include "delivery/settings.h"
#include "ledger/ledger_settings.h"

namespace natsession {

[[nodiscard]] LedgerSettings ledger_settings(const Config& config);

// Opens all sinks or none. What a URL says of batches goes before the configuration.
// Errors: as open_sinks() in sink/registry.h.
[[nodiscard]] Result<std::vector<SinkSpec>> make_sinks(const Config& config, const Clock& clock,
                                                       std::vector<std::unique_ptr<CommandRunner>> runners);

}  // namespace natsession
