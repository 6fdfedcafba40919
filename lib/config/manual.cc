#include "config/manual.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "config/options.h"

namespace natsession {
namespace {

constexpr std::size_t kHelpColumn = 26;
constexpr std::size_t kWidth = 80;

constexpr std::string_view kUsage =
    R"(Usage: natsessiond [OPTION]...
Logs the NAT sessions that this Linux machine forwards, one record for each
session and window. With no options: source NAT, as JSON, to stdout.
)";

struct Heading {
  OptionGroup group;
  std::string_view text;
};

constexpr std::array<Heading, 5> kHeadings{{
    {OptionGroup::kOutput, "Where records go, and how they are written"},
    {OptionGroup::kSessions, "Which sessions, and what is said of them"},
    {OptionGroup::kKernel, "The kernel"},
    {OptionGroup::kLedger, "The ledger, and delivery to sinks"},
    {OptionGroup::kProgram, "The program"},
}};

constexpr std::string_view kRest =
    R"(
A key of FILE is the flag's name with '_' for '-': time_format = "unix_ms".

Examples
  natsessiond --check
      What this machine lacks for a full log, and how to mend it.
  natsessiond --tune
      First steps: set what the kernel needs, then show sessions on the screen.
  natsessiond --sink 'file:/var/log/nat.json?rotate_size=100M&compress=zstd&keep=14'
      To a file with rotation: a new one every 100 MiB, 14 old ones, compressed.
  natsessiond --sink journald --sink file:/var/log/nat.csv --format csv
      To the journal (journalctl NATSESSION_PRI_IP=10.1.2.3) and to a file.
  natsessiond --ledger /var/lib/natsessiond/ledger --retention 90d
      Into a ledger of three months; natsessionctl asks it.
  natsessiond --ledger /var/lib/natsessiond/ledger --sink syslog+tcp://log.example.net
      Through the ledger to a log host: what it cannot take now, it gets later.
  natsessiond --vpc-id 10.0.0.0/8=blue --vpc-id zone:7=green --vpc-id other
      With a vpc_id by private address, by conntrack zone, and for the rest.
  natsessiond --config /etc/natsessiond/natsessiond.toml
      As a service.

Signals
  SIGTERM, SIGINT  write out what was seen, and stop
  SIGHUP           reopen files and read the configuration again
  SIGUSR1          close the window now

Exit status
  0  stopped on request
  1  failed while running
  2  wrong usage or configuration
  3  the kernel lacks something, or a permission is missing: stderr says which

Manual: natsessiond(8), natsessiond.toml(5)
)";

// The default as people are told it: in TOML, except where the option table has words for it.
std::string default_of(const Option& option) {
  if (!option.default_told.empty()) return std::string(option.default_told);
  return toml_value(option, Config{});
}

// The same on the command line: stdout, not ["stdout"].
std::string default_on_command_line(const Option& option) {
  if (!option.default_told.empty()) return std::string(option.default_told);
  std::string text;
  for (const std::string& value : option.values(Config{})) text += (text.empty() ? "" : ",") + value;
  return text;
}

// Words, of which the last may have spaces: it is not broken.
void append_wrapped(std::string& out, std::string_view help, const std::string& last) {
  std::size_t at = kHelpColumn;
  const auto append = [&](std::string_view word) {
    if (at > kHelpColumn && at + 1 + word.size() > kWidth) {
      out += "\n" + std::string(kHelpColumn, ' ');
      at = kHelpColumn;
    } else if (at > kHelpColumn) {
      out += ' ';
      ++at;
    }
    out += word;
    at += word.size();
  };
  while (!help.empty()) {
    const std::size_t length = std::min(help.find(' '), help.size());
    append(help.substr(0, length));
    help.remove_prefix(std::min(length + 1, help.size()));
  }
  if (!last.empty()) append(last);
  out += '\n';
}

void append_help(std::string& out, const Option& option) {
  std::string left = "  " + option.flag();
  if (option.takes_value()) left += " " + std::string(option.value_name);
  if (left.size() + 2 > kHelpColumn) {
    left += "\n" + std::string(kHelpColumn, ' ');
  } else {
    left.resize(kHelpColumn, ' ');
  }
  out += left;
  const bool tells_default = option.takes_value() && (option.is_setting() || !option.default_told.empty());
  append_wrapped(out, option.help, tells_default ? "(default: " + default_on_command_line(option) + ")" : "");
}

}  // namespace

std::string help_text(std::string_view sinks) {
  std::string text(kUsage);
  for (const Heading& heading : kHeadings) {
    text += "\n" + std::string(heading.text) + "\n";
    for (const Option& option : options()) {
      if (option.group == heading.group) append_help(text, option);
    }
  }
  if (!sinks.empty()) text += "\nSinks\n" + std::string(sinks);
  return text + std::string(kRest);
}

std::string version_text() {
  return "natsessiond " NATSESSION_VERSION "\n";
}

std::string print_config(const Invocation& invocation) {
  std::string text = "# The effective configuration of natsessiond " NATSESSION_VERSION "\n";
  for (const Option& option : options()) {
    if (!option.is_setting()) continue;
    const std::string& source = invocation.sources[static_cast<std::size_t>(&option - options().data())];
    text += "\n# default: " + default_of(option) + "; from: " + (source.empty() ? "default" : source) + "\n";
    text += option.key() + " = " + toml_value(option, invocation.config) + "\n";
  }
  return text;
}

}  // namespace natsession
