#include "config/setters.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>

#include "base/byte_count.h"
#include "base/time.h"
#include "config/names.h"
#include "config/text.h"
#include "session/vpc_map.h"

namespace natsession::setters {
namespace {

template <typename T>
Result<void> assign(T& member, Result<T> parsed) {
  if (!parsed) return parsed.error();
  member = std::move(*parsed);
  return {};
}

Error usage(std::string message) {
  return Error{ErrorKind::kUsage, std::move(message)};
}

// Two URLs with the same destination are one sink: options do not count, nor do spellings of one path.
std::string destination(std::string_view url) {
  const std::string_view place = url.substr(0, url.find('?'));
  constexpr std::string_view kFile = "file:";
  if (!place.starts_with(kFile)) return std::string(place);
  const std::filesystem::path path(place.substr(kFile.size()));
  return std::string(kFile) + path.lexically_normal().string();
}

// A time from `least` to `most`.
Result<void> put_time(std::chrono::milliseconds& member, std::string_view value,
                      std::chrono::milliseconds least, std::chrono::milliseconds most) {
  const auto time = parse_duration(value);
  if (!time) return time.error();
  if (*time < least || *time > most) {
    return usage(in_quotes(value) + " is out of range: " + format_duration(least) + " to " +
                 format_duration(most));
  }
  member = *time;
  return {};
}

Result<void> put_size(ByteCount& member, std::string_view value, ByteCount least, ByteCount most) {
  const auto size = parse_byte_count(value);
  if (!size) return size.error();
  if (*size < least || *size > most) {
    return usage(in_quotes(value) + " is out of range: " + format_byte_count(least) + " to " +
                 format_byte_count(most));
  }
  member = *size;
  return {};
}

bool match_the_same(const VpcRule& a, const VpcRule& b) {
  return a.kind == b.kind && a.prefix == b.prefix && a.zone == b.zone && a.mark == b.mark &&
         a.mark_mask == b.mark_mask;
}

}  // namespace

Result<void> put_sink(Config& config, std::string_view value, const Environment& environment) {
  if (value.empty()) return usage("it is empty: stdout, file:PATH, journald or another that --help lists");
  if (environment.check_sink) {
    if (auto checked = environment.check_sink(value); !checked) return checked;
  }
  if (config.sinks.size() == kMaxSinks) return usage("more than " + std::to_string(kMaxSinks) + " sinks");
  for (const std::string& other : config.sinks) {
    if (destination(other) == destination(value)) {
      return usage(other == value ? in_quotes(value) + " is given twice"
                                  : in_quotes(value) + " has the same destination as " + in_quotes(other));
    }
  }
  config.sinks.emplace_back(value);
  return {};
}

Result<void> put_format(Config& config, std::string_view value, const Environment&) {
  return assign(config.format, parse_record_format(value));
}

Result<void> put_time_format(Config& config, std::string_view value, const Environment&) {
  return assign(config.time_format, parse_time_format(value));
}

Result<void> put_fields(Config& config, std::string_view value, const Environment&) {
  return assign(config.fields, parse_field_set(value));
}

Result<void> put_nat(Config& config, std::string_view value, const Environment&) {
  return assign(config.nat, parse_nat_selection(value));
}

Result<void> put_records(Config& config, std::string_view value, const Environment&) {
  return assign(config.records, parse_record_mode(value));
}

Result<void> put_window(Config& config, std::string_view value, const Environment&) {
  return put_time(config.window, value, kMinWindow, kMaxWindow);
}

Result<void> put_instance(Config& config, std::string_view value, const Environment&) {
  if (value.empty()) return usage("it is empty: leave it out for the host's name");
  if (value.size() > kMaxInstanceLength) {
    return usage("it has " + std::to_string(value.size()) + " bytes: at most " +
                 std::to_string(kMaxInstanceLength));
  }
  config.instance = value;
  return {};
}

Result<void> put_vpc_id(Config& config, std::string_view value, const Environment&) {
  const auto rule = VpcRule::parse(value);
  if (!rule) return rule.error();
  if (config.vpc_ids.size() == kMaxVpcRules)
    return usage("more than " + std::to_string(kMaxVpcRules) + " rules");
  for (const std::string& other : config.vpc_ids) {
    if (match_the_same(*rule, *VpcRule::parse(other))) {
      return usage(in_quotes(value) + " would never be used: " + in_quotes(other) +
                   " matches the same sessions");
    }
  }
  config.vpc_ids.emplace_back(value);
  return {};
}

Result<void> put_events(Config& config, std::string_view value, const Environment&) {
  return assign(config.events, parse_event_groups(value, config.events));
}

Result<void> put_netns(Config& config, std::string_view value, const Environment&) {
  if (value.empty())
    return usage("it is empty: a name as in 'ip netns', or a path such as /proc/1234/ns/net");
  if (std::find(config.netns.begin(), config.netns.end(), value) != config.netns.end()) {
    return usage(in_quotes(value) + " is given twice");
  }
  if (config.netns.size() == kMaxNamespaces)
    return usage("more than " + std::to_string(kMaxNamespaces) + " namespaces");
  config.netns.emplace_back(value);
  return {};
}

Result<void> put_rcvbuf(Config& config, std::string_view value, const Environment&) {
  return put_size(config.rcvbuf, value, kMinRcvbuf, kMaxRcvbuf);
}

Result<void> put_reliable(Config& config, std::string_view value, const Environment&) {
  return assign(config.reliable, parse_reliable_mode(value));
}

Result<void> put_guard(Config& config, std::string_view value, const Environment&) {
  const std::string_view digits = value.ends_with('%') ? value.substr(0, value.size() - 1) : value;
  unsigned percent = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), percent);
  if (error != std::errc() || end != digits.data() + digits.size() || percent < kMinGuardPercent ||
      percent > kMaxGuardPercent) {
    return usage(in_quotes(value) + " is not a share of the conntrack table: " +
                 std::to_string(kMinGuardPercent) + "% to " + std::to_string(kMaxGuardPercent) + "%");
  }
  config.guard_percent = percent;
  return {};
}

Result<void> put_tune(Config& config, std::string_view value, const Environment&) {
  return assign(config.tune, parse_switch(value));
}

Result<void> put_ledger(Config& config, std::string_view value, const Environment&) {
  config.ledger = value;
  return {};
}

Result<void> put_retention(Config& config, std::string_view value, const Environment&) {
  return put_time(config.retention, value, kMinRetention, kMaxRetention);
}

Result<void> put_ledger_max(Config& config, std::string_view value, const Environment&) {
  return put_size(config.ledger_max, value, kMinLedgerMax,
                  ByteCount{std::numeric_limits<std::int64_t>::max()});
}

Result<void> put_sync(Config& config, std::string_view value, const Environment&) {
  if (value != "always" && value != "never") {
    std::chrono::milliseconds interval{};
    if (auto put = put_time(interval, value, kMinSync, kMaxSync); !put) {
      return usage(put.error().message + "; or always, or never");
    }
  }
  config.sync = value;
  return {};
}

Result<void> put_batch(Config& config, std::string_view value, const Environment&) {
  std::size_t records = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), records);
  if (error != std::errc() || end != value.data() + value.size() || records < 1 || records > kMaxBatch) {
    return usage(in_quotes(value) + " is not a number of records: 1 to " + std::to_string(kMaxBatch));
  }
  config.batch = records;
  return {};
}

Result<void> put_batch_bytes(Config& config, std::string_view value, const Environment&) {
  return put_size(config.batch_bytes, value, kMinBatchBytes, kMaxBatchBytes);
}

Result<void> put_linger(Config& config, std::string_view value, const Environment&) {
  return put_time(config.linger, value, std::chrono::milliseconds(0), kMaxLinger);
}

Result<void> put_suspend(Config& config, std::string_view value, const Environment&) {
  return put_time(config.suspend, value, kMinSuspend, kMaxSuspend);
}

Result<void> put_control(Config& config, std::string_view value, const Environment&) {
  constexpr std::size_t kMaxSocketPath = 107;  // sun_path, less the NUL
  if (value.size() > kMaxSocketPath) {
    return usage(in_quotes(value) + " has " + std::to_string(value.size()) +
                 " bytes: the path of a socket has at most " + std::to_string(kMaxSocketPath));
  }
  config.control = value;
  return {};
}

Result<void> put_metrics(Config& config, std::string_view value, const Environment&) {
  const std::size_t colon = value.rfind(':');
  unsigned port = 0;
  if (colon != std::string_view::npos) {
    const std::string_view digits = value.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size()) port = 0;
  }
  if (!value.empty() && (port < 1 || port > 65535)) {
    return usage(in_quotes(value) + " is not HOST:PORT, such as 127.0.0.1:9469 or [::1]:9469");
  }
  config.metrics = value;
  return {};
}

Result<void> put_state(Config& config, std::string_view value, const Environment&) {
  config.state_file = value;
  return {};
}

Result<void> put_log_level(Config& config, std::string_view value, const Environment&) {
  return assign(config.log_level, parse_log_level(value));
}

std::vector<std::string> event_names(const Config& config) {
  std::vector<std::string> names;
  if (config.events.new_) names.emplace_back("new");
  if (config.events.update) names.emplace_back("update");
  if (config.events.destroy) names.emplace_back("destroy");
  return names;
}

}  // namespace natsession::setters
