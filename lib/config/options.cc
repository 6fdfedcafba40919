#include "config/options.h"

#include <algorithm>
#include <array>

#include "base/byte_count.h"
#include "base/time.h"
#include "config/names.h"
#include "config/setters.h"

namespace natsession {
namespace {

using Texts = std::vector<std::string>;
using enum OptionKind;
using enum OptionGroup;

constexpr std::array<Option, 32> kOptions{{
    {.name = "sink",
     .group = kOutput,
     .kind = kList,
     .value_name = "URL",
     .help = "Where records go: stdout, file:PATH, journald and others, listed below. May be given several "
             "times; with a "
             "ledger there need be none.",
     .example = R"("file:/var/log/natsession.json")",
     .default_told = "",
     .put = setters::put_sink,
     .clear = [](Config& config) { config.sinks.clear(); },
     .may_be_secret = true,
     .values = [](const Config& config) { return config.sinks; }},
    {.name = "format",
     .group = kOutput,
     .kind = kText,
     .value_name = "FORMAT",
     .help = "How records are written: json, csv or logfmt.",
     .example = R"("csv")",
     .default_told = "",
     .put = setters::put_format,
     .values = [](const Config& config) { return Texts{std::string(to_string(config.format))}; }},
    {.name = "time-format",
     .group = kOutput,
     .kind = kText,
     .value_name = "FORMAT",
     .help = "How times are written: unix (seconds), unix_ms or rfc3339.",
     .example = R"("rfc3339")",
     .default_told = "",
     .put = setters::put_time_format,
     .values = [](const Config& config) { return Texts{std::string(to_string(config.time_format))}; }},
    {.name = "fields",
     .group = kOutput,
     .kind = kText,
     .value_name = "SET",
     .help = "Fields of csv and logfmt: all, or cloud for the fifteen that clouds give.",
     .example = R"("cloud")",
     .default_told = "",
     .put = setters::put_fields,
     .values = [](const Config& config) { return Texts{std::string(to_string(config.fields))}; }},
    {.name = "nat",
     .group = kSessions,
     .kind = kText,
     .value_name = "KIND",
     .help = "Sessions whose source (snat) or destination (dnat) is translated, or any.",
     .example = R"("any")",
     .default_told = "",
     .put = setters::put_nat,
     .values = [](const Config& config) { return Texts{std::string(to_string(config.nat))}; }},
    {.name = "records",
     .group = kSessions,
     .kind = kText,
     .value_name = "MODE",
     .help = "window: one record for each window with traffic, and one at the end. end: one a session. "
             "start-end: one when it begins, one when it ends.",
     .example = R"("end")",
     .default_told = "",
     .put = setters::put_records,
     .values = [](const Config& config) { return Texts{std::string(to_string(config.records))}; }},
    {.name = "window",
     .group = kSessions,
     .kind = kText,
     .value_name = "TIME",
     .help = "Length of the windows, which are aligned to the clock: 1s to 24h.",
     .example = R"("10m")",
     .default_told = "",
     .put = setters::put_window,
     .values = [](const Config& config) { return Texts{format_duration(config.window)}; }},
    {.name = "instance",
     .group = kSessions,
     .kind = kText,
     .value_name = "ID",
     .help = "Name of this NAT gateway in every record.",
     .example = R"("nat-1")",
     .default_told = "the host's name",
     .put = setters::put_instance,
     .values = [](const Config& config) { return Texts{config.instance}; }},
    {.name = "vpc-id",
     .group = kSessions,
     .kind = kList,
     .value_name = "[PREFIX=]ID",
     .help = "vpc_id of sessions from an address prefix, from zone:N or with mark:V[/MASK]; without PREFIX, "
             "of all others. May be given several times.",
     .example = R"("10.0.0.0/8=blue")",
     .default_told = "none",
     .put = setters::put_vpc_id,
     .clear = [](Config& config) { config.vpc_ids.clear(); },
     .values = [](const Config& config) { return config.vpc_ids; }},
    {.name = "events",
     .group = kKernel,
     .kind = kList,
     .value_name = "LIST",
     .help = "Events to ask for, of new, update and destroy. Fewer cost the forwarding path less.",
     .example = R"(["new", "destroy"])",
     .default_told = "",
     .put = setters::put_events,
     .clear =
         [](Config& config) {
           config.events = {false, false, false};
         },
     .needs_one = true,
     .values = setters::event_names},
    {.name = "netns",
     .group = kKernel,
     .kind = kList,
     .value_name = "NAME",
     .help =
         "Network namespace to watch, by its name in 'ip netns' or by its path. May be given several times; "
         "records then say which.",
     .example = R"("nat")",
     .default_told = "the daemon's own",
     .put = setters::put_netns,
     .clear = [](Config& config) { config.netns.clear(); },
     .values = [](const Config& config) { return config.netns; }},
    {.name = "rcvbuf",
     .group = kKernel,
     .kind = kSize,
     .value_name = "SIZE",
     .help = "Receive buffer of the event socket: 4K to 2G.",
     .example = R"("64M")",
     .default_told = "",
     .put = setters::put_rcvbuf,
     .values = [](const Config& config) { return Texts{format_byte_count(config.rcvbuf)}; }},
    {.name = "reliable",
     .group = kKernel,
     .kind = kText,
     .value_name = "MODE",
     .help = "Whether the kernel keeps ends of sessions that do not fit the buffer and sends them again: on, "
             "off, "
             "or auto: on, but off while that fills the conntrack table (see guard).",
     .example = R"("auto")",
     .default_told = "",
     .put = setters::put_reliable,
     .values = [](const Config& config) { return Texts{std::string(to_string(config.reliable))}; }},
    {.name = "guard",
     .group = kKernel,
     .kind = kText,
     .value_name = "PERCENT",
     .help =
         "With --reliable auto: off above this share of nf_conntrack_max while events are delayed, on again "
         "below three quarters of it.",
     .example = R"("80%")",
     .default_told = "",
     .put = setters::put_guard,
     .values = [](const Config& config) { return Texts{std::to_string(config.guard_percent) + "%"}; }},
    {.name = "tune",
     .group = kKernel,
     .kind = kSwitch,
     .value_name = "",
     .help = "Set the sysctls that a full log needs: accounting, timestamps, events for every flow.",
     .example = "true",
     .default_told = "",
     .put = setters::put_tune,
     .values = [](const Config& config) { return Texts{config.tune ? "true" : "false"}; }},
    {.name = "ledger",
     .group = kLedger,
     .kind = kText,
     .value_name = "DIR",
     .help = "Keep all records in DIR, the ledger, and deliver them to the sinks from there. natsessionctl "
             "asks it.",
     .example = R"("/var/lib/natsessiond/ledger")",
     .default_told = "none: a bounded queue in memory",
     .put = setters::put_ledger,
     .values = [](const Config& config) { return Texts{config.ledger}; }},
    {.name = "retention",
     .group = kLedger,
     .kind = kText,
     .value_name = "TIME",
     .help = "How long the ledger keeps records.",
     .example = R"("30d")",
     .default_told = "",
     .put = setters::put_retention,
     .values = [](const Config& config) { return Texts{format_duration(config.retention)}; }},
    {.name = "ledger-max",
     .group = kLedger,
     .kind = kSize,
     .value_name = "SIZE",
     .help = "How large the ledger may grow. Beyond it the oldest records go, also those that a sink has yet "
             "to get.",
     .example = R"("20G")",
     .default_told = "",
     .put = setters::put_ledger_max,
     .values = [](const Config& config) { return Texts{format_byte_count(config.ledger_max)}; }},
    {.name = "sync",
     .group = kLedger,
     .kind = kText,
     .value_name = "WHEN",
     .help = "How often what arrived is written to the ledger and forced to disk: a time, always, or never "
             "(written each second, not forced).",
     .example = R"("1s")",
     .default_told = "",
     .put = setters::put_sync,
     .values = [](const Config& config) { return Texts{config.sync}; }},
    {.name = "batch",
     .group = kLedger,
     .kind = kText,
     .value_name = "N",
     .help = "Records that a remote sink is given at once, at most.",
     .example = R"("1000")",
     .default_told = "",
     .put = setters::put_batch,
     .values = [](const Config& config) { return Texts{std::to_string(config.batch)}; }},
    {.name = "batch-bytes",
     .group = kLedger,
     .kind = kSize,
     .value_name = "SIZE",
     .help = "Their size, at most.",
     .example = R"("1M")",
     .default_told = "",
     .put = setters::put_batch_bytes,
     .values = [](const Config& config) { return Texts{format_byte_count(config.batch_bytes)}; }},
    {.name = "linger",
     .group = kLedger,
     .kind = kText,
     .value_name = "TIME",
     .help = "How long a record waits for a batch to fill.",
     .example = R"("1s")",
     .default_told = "",
     .put = setters::put_linger,
     .values = [](const Config& config) { return Texts{format_duration(config.linger)}; }},
    {.name = "suspend",
     .group = kLedger,
     .kind = kText,
     .value_name = "TIME",
     .help = "How long delivery to a sink rests after its target refused.",
     .example = R"("5m")",
     .default_told = "",
     .put = setters::put_suspend,
     .values = [](const Config& config) { return Texts{format_duration(config.suspend)}; }},
    {.name = "config",
     .group = kProgram,
     .kind = kText,
     .value_name = "FILE",
     .help = "Read settings from FILE, then from conf.d/*.toml beside it. Flags win over files.",
     .example = "",
     .default_told = "no file"},
    {.name = "control",
     .group = kProgram,
     .kind = kText,
     .value_name = "PATH",
     .help = "Serve status, live sessions and metrics on this unix socket; natsessionctl asks it.",
     .example = R"("/run/natsessiond/control.sock")",
     .default_told = "none",
     .put = setters::put_control,
     .values = [](const Config& config) { return Texts{config.control}; }},
    {.name = "metrics",
     .group = kProgram,
     .kind = kText,
     .value_name = "HOST:PORT",
     .help = "Serve /metrics for Prometheus on this address, too.",
     .example = R"("127.0.0.1:9469")",
     .default_told = "none",
     .put = setters::put_metrics,
     .values = [](const Config& config) { return Texts{config.metrics}; }},
    {.name = "state",
     .group = kProgram,
     .kind = kText,
     .value_name = "FILE",
     .help = "Remember in FILE what was reported of open sessions, over a restart.",
     .example = R"("/var/lib/natsessiond/state")",
     .default_told = "none",
     .put = setters::put_state,
     .values = [](const Config& config) { return Texts{config.state_file}; }},
    {.name = "log-level",
     .group = kProgram,
     .kind = kText,
     .value_name = "LEVEL",
     .help = "The daemon's own messages, on stderr: error, warning, info or debug.",
     .example = R"("debug")",
     .default_told = "",
     .put = setters::put_log_level,
     .values = [](const Config& config) { return Texts{std::string(to_string(config.log_level))}; }},
    {.name = "check",
     .group = kProgram,
     .kind = kCommand,
     .value_name = "",
     .help = "Say what the kernel and this configuration lack for a full log and how to mend it, and exit.",
     .example = "",
     .default_told = ""},
    {.name = "print-config",
     .group = kProgram,
     .kind = kCommand,
     .value_name = "",
     .help = "Print the effective configuration, and where each value comes from, and exit.",
     .example = "",
     .default_told = ""},
    {.name = "version",
     .group = kProgram,
     .kind = kCommand,
     .value_name = "",
     .help = "Print the version and exit.",
     .example = "",
     .default_told = ""},
    {.name = "help",
     .group = kProgram,
     .kind = kCommand,
     .value_name = "",
     .help = "Print this and exit.",
     .example = "",
     .default_told = ""},
}};

// A basic string of TOML. The texts of a Config are UTF-8 without control characters (check_text).
std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

constexpr std::size_t kWidestLine = 100;

std::string toml_array(const Texts& texts) {
  std::string line = "[";
  std::string lines = "[\n";
  for (const std::string& text : texts) {
    if (line.size() > 1) line += ", ";
    line += toml_string(text);
    lines += "  " + toml_string(text) + ",\n";
  }
  return line.size() < kWidestLine ? line + "]" : lines + "]";
}

}  // namespace

std::string Option::flag() const {
  return "--" + std::string(name);
}

std::string Option::key() const {
  std::string result(name);
  std::replace(result.begin(), result.end(), '-', '_');
  return result;
}

std::span<const Option> options() {
  return kOptions;
}

const Option* find_setting(std::string_view key) {
  const auto* const found = std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& option) {
    return option.is_setting() && option.key() == key;
  });
  return found == kOptions.end() ? nullptr : found;
}

std::string toml_value(const Option& option, const Config& config) {
  const Texts texts = option.values(config);
  if (option.kind == kList) return toml_array(texts);
  return option.kind == kSwitch ? texts.front() : toml_string(texts.front());
}

}  // namespace natsession
