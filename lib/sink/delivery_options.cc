#include "sink/delivery_options.h"

#include <algorithm>
#include <array>

#include "sink/option_value.h"
#include "sink/registry.h"

namespace natsession {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::uint64_t kMaxBatch = 100'000;
constexpr ByteCount kMinBatchBytes{1 << 10};
constexpr ByteCount kMaxBatchBytes{64 << 20};

constexpr std::array kTable{
    SinkOption{"batch", "N", "at most N records in one batch, 1 to 100000"},
    SinkOption{"batch_bytes", "SIZE", "at most so much in one batch, 1K to 64M"},
    SinkOption{"linger", "TIME",
               "how long a batch waits to fill, to 1h; default 1s for what is behind a network or a command, "
               "else 0s"},
    SinkOption{"suspend", "TIME", "pause after the target refused, 1s to 24h; default 5m"},
    SinkOption{"from", "start|end", "where a new sink begins in the ledger; default end"},
};

}  // namespace

std::span<const SinkOption> delivery_option_table() {
  return kTable;
}

Result<DeliveryOptions> delivery_options(const SinkUrl& url) {
  DeliveryOptions options;
  for (const SinkUrl::Option& option : url.options) {
    if (option.key == "batch") {
      const auto count = option_number(url, option, 1, kMaxBatch);
      if (!count) return count.error();
      options.batch = static_cast<std::size_t>(*count);
    } else if (option.key == "batch_bytes") {
      const auto size = option_size(url, option, kMinBatchBytes, kMaxBatchBytes);
      if (!size) return size.error();
      options.batch_bytes = *size;
    } else if (option.key == "linger") {
      const auto time = option_time(url, option, seconds(0), hours(1));
      if (!time) return time.error();
      options.linger = *time;
    } else if (option.key == "suspend") {
      const auto time = option_time(url, option, seconds(1), hours(24));
      if (!time) return time.error();
      options.suspend = *time;
    } else if (option.key == "from") {
      if (option.value != "start" && option.value != "end") {
        return url.wrong(option, "'" + option.value + "' is neither start nor end");
      }
      options.from_start = option.value == "start";
    }
  }
  return options;
}

Result<DeliveryOptions> delivery_options(std::string_view text) {
  if (auto checked = check_sink_url(text); !checked) return checked.error();
  const auto url = SinkUrl::parse(text);
  if (!url) return url.error();
  auto options = delivery_options(*url);
  if (!options) return options.error();
  const auto kinds = sink_kinds();
  options->remote = std::any_of(kinds.begin(), kinds.end(), [&](const SinkKind& kind) {
    return kind.scheme == url->scheme && kind.remote;
  });
  return options;
}

}  // namespace natsession
