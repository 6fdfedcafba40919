// How each setting is put into a Config from a text, and read back from it: what the option table points to.
// Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "config/environment.h"

namespace natsession::setters {

// Errors of all: kUsage, naming the value and what would do; then `config` is unchanged.
Result<void> put_sink(Config& config, std::string_view value, const Environment& environment);
Result<void> put_format(Config& config, std::string_view value, const Environment& environment);
Result<void> put_time_format(Config& config, std::string_view value, const Environment& environment);
Result<void> put_fields(Config& config, std::string_view value, const Environment& environment);
Result<void> put_nat(Config& config, std::string_view value, const Environment& environment);
Result<void> put_records(Config& config, std::string_view value, const Environment& environment);
Result<void> put_window(Config& config, std::string_view value, const Environment& environment);
Result<void> put_instance(Config& config, std::string_view value, const Environment& environment);
Result<void> put_vpc_id(Config& config, std::string_view value, const Environment& environment);
Result<void> put_events(Config& config, std::string_view value, const Environment& environment);
Result<void> put_netns(Config& config, std::string_view value, const Environment& environment);
Result<void> put_rcvbuf(Config& config, std::string_view value, const Environment& environment);
Result<void> put_reliable(Config& config, std::string_view value, const Environment& environment);
Result<void> put_guard(Config& config, std::string_view value, const Environment& environment);
Result<void> put_tune(Config& config, std::string_view value, const Environment& environment);
Result<void> put_ledger(Config& config, std::string_view value, const Environment& environment);
Result<void> put_retention(Config& config, std::string_view value, const Environment& environment);
Result<void> put_ledger_max(Config& config, std::string_view value, const Environment& environment);
Result<void> put_sync(Config& config, std::string_view value, const Environment& environment);
Result<void> put_batch(Config& config, std::string_view value, const Environment& environment);
Result<void> put_batch_bytes(Config& config, std::string_view value, const Environment& environment);
Result<void> put_linger(Config& config, std::string_view value, const Environment& environment);
Result<void> put_suspend(Config& config, std::string_view value, const Environment& environment);
Result<void> put_control(Config& config, std::string_view value, const Environment& environment);
Result<void> put_metrics(Config& config, std::string_view value, const Environment& environment);
Result<void> put_state(Config& config, std::string_view value, const Environment& environment);
Result<void> put_log_level(Config& config, std::string_view value, const Environment& environment);

[[nodiscard]] std::vector<std::string> event_names(const Config& config);

}  // namespace natsession::setters
