// DeliveryOptions: what the options of a URL say about how its sink is served. Every sink has them; delivery
// reads them, the sink itself does not.
// Threads: a plain value type; the functions keep no state.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "base/byte_count.h"
#include "base/result.h"
#include "sink/sink_kind.h"
#include "sink/sink_url.h"

namespace natsession {

struct DeliveryOptions {
  std::optional<std::size_t> batch;                  // records in one batch, at most
  std::optional<ByteCount> batch_bytes;              // their size, at most
  std::optional<std::chrono::milliseconds> linger;   // how long a batch waits to fill
  std::optional<std::chrono::milliseconds> suspend;  // after a failure of the target
  bool from_start = false;  // a new sink begins with the oldest record of the ledger, not with the next
  bool remote = false;      // of its kind: see sink_kind.h

  static constexpr std::chrono::milliseconds kRemoteLinger{1000};
  // `linger`, or 1 s for what is remote and nothing for what is not.
  [[nodiscard]] std::chrono::milliseconds linger_or_default() const {
    return linger.value_or(remote ? kRemoteLinger : std::chrono::milliseconds(0));
  }
};

// The options with which the URL of a sink says how it is served.
// Errors: as check_sink_url() in registry.h.
[[nodiscard]] Result<DeliveryOptions> delivery_options(std::string_view url);

// The same of a URL that has been read; other options are left alone.
// Errors: kUsage, naming the URL, the key and the value.
[[nodiscard]] Result<DeliveryOptions> delivery_options(const SinkUrl& url);

[[nodiscard]] std::span<const SinkOption> delivery_option_table();

}  // namespace natsession
