#include "config/manual.h"

#include <algorithm>
#include <string_view>

#include "config/options.h"
#include "identity/source_url.h"
#include "sink/registry.h"

namespace natsession {
namespace {

constexpr std::size_t kHelpColumn = 26;
constexpr std::size_t kWidth = 80;
constexpr std::size_t kFileWidth = 110;

constexpr std::string_view kUsage =
    R"(Usage: natsessiond [OPTION]...
Logs the NAT sessions that this Linux machine forwards, one record for each
session and window. With no options: source NAT, as JSON, to stdout.
)";

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
  0  stopped on request; --check: nothing is lacking
  1  failed while running
  2  wrong usage or configuration, or what it names is not there
  3  the kernel, a folder or a permission is missing, or --check found a lack

Manual: natsessiond(8), natsessiond.toml(5)
)";

// The default as people are told it, in a file or on the command line.
std::string default_of(const Flag& flag, bool in_file) {
  if (!flag.no_default.empty()) return std::string(flag.no_default);
  const std::string usual = usual_text(flag.value);
  if (usual.empty()) return "none";
  return in_file ? flag.toml_value(Config{}) : usual;
}

// Words, of which the last may have spaces: it is not broken. Lines after the first begin with `indent`, and
// count from its length on.
void append_wrapped(std::string& out, const std::string& indent, std::size_t width, std::string_view help,
                    const std::string& last) {
  std::size_t at = indent.size();
  const auto append = [&](std::string_view word) {
    if (at > indent.size() && at + 1 + word.size() > width) {
      out += "\n" + indent;
      at = indent.size();
    } else if (at > indent.size()) {
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

// "(1s to 1d; default: 10m)"; in a file, where the value itself is to be seen, "(1s to 1d)".
std::string limits(const Flag& flag, bool in_file) {
  std::string text = flag.value.range;
  if (flag.takes_value() && (!in_file || !flag.no_default.empty())) {
    text += (text.empty() ? "default: " : "; default: ") + default_of(flag, in_file);
  }
  return text.empty() ? text : "(" + text + ")";
}

void append_help(std::string& out, const Flag& flag) {
  std::string left = "  " + flag.flag();
  if (flag.takes_value()) left += " " + std::string(flag.value_name);
  if (left.size() + 2 > kHelpColumn) {
    left += "\n" + std::string(kHelpColumn, ' ');
  } else {
    left.resize(kHelpColumn, ' ');
  }
  out += left;
  append_wrapped(out, std::string(kHelpColumn, ' '), kWidth, flag.help, limits(flag, false));
}

}  // namespace

std::string help_text() {
  std::string text(kUsage);
  std::string_view group;
  for (const Flag& flag : flags()) {
    if (flag.group != group) text += "\n" + std::string(flag.group) + "\n";
    group = flag.group;
    append_help(text, flag);
  }
  return text + "\nSinks\n" + sink_help() + "\nSources of identity\n" + identity_help() + std::string(kRest);
}

std::string version_text() {
  return "natsessiond " NATSESSION_VERSION "\n";
}

std::string list_options() {
  std::string text;
  for (const Flag& flag : flags()) {
    std::string values;
    const auto add = [&](std::string_view value) {
      values += (values.empty() ? "" : " ") + std::string(value);
    };
    for (const std::string_view word : flag.value.words) add(word);
    if (flag.name == "sink") {
      for (const SinkKind& kind : sink_kinds()) {
        const bool bare = kind.usage.find(':') == std::string_view::npos;
        add(std::string(kind.scheme) + (bare ? "" : kind.has_host() ? "://" : ":"));
      }
    } else if (!flag.value.range.empty()) {
      add(usual_text(flag.value));
    }
    if (values.empty()) add(flag.value_name);
    const bool commas = flag.is_list() && !flag.value.words.empty();
    text += flag.flag() + (flag.takes_value() ? (commas ? " ," : " ") + values : "") + "\n";
  }
  return text;
}

std::string default_config() {
  std::string text =
      R"(# The configuration of natsessiond, the NAT session logger; natsessiond(8) says more.
#
# Every setting stands here in a comment: at its default, or with an example where that cannot be written
# down; sections such as SINKS are those of natsessiond(8). Read this file with
#     natsessiond --config /etc/natsessiond/natsessiond.toml
# Files conf.d/*.toml beside it are read after it, in the order of their names, and flags win over all files.
# A later list replaces an earlier one. `natsessiond --config FILE --print-config` shows what it comes to, and
# `systemctl reload natsessiond` (SIGHUP) has it read again.
)";
  std::string_view group;
  for (const Flag& flag : flags()) {
    if (!flag.is_setting()) continue;
    if (flag.group != group) text += "\n## " + std::string(flag.group) + "\n";
    group = flag.group;
    text += "\n# ";
    append_wrapped(text, "# ", kFileWidth, std::string(flag.help) + " " + std::string(flag.more),
                   limits(flag, true));
    Config config;
    const auto usual = flag.value.texts(config);
    const bool can_be_given = flag.is_list() || flag.value.put(config, usual.empty() ? "" : usual.front());
    text += "#" + flag.key() + " = " +
            (can_be_given ? flag.toml_value(Config{}) : std::string(flag.example)) + "\n";
  }
  return text;
}

std::string print_config(const Invocation& invocation) {
  std::string text = "# The effective configuration of natsessiond " NATSESSION_VERSION "\n";
  for (const Flag& flag : flags()) {
    if (!flag.is_setting()) continue;
    const std::string& source = invocation.sources[static_cast<std::size_t>(&flag - flags().data())];
    text += "\n# default: " + default_of(flag, true) + "; from: " + (source.empty() ? "default" : source);
    text += "\n" + flag.key() + " = " + flag.toml_value(invocation.config) + "\n";
  }
  return text;
}

}  // namespace natsession
