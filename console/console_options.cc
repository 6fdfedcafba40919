#include "console_options.h"

#include <array>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "access/request_guard.h"
#include "base/byte_count.h"
#include "base/exit_status.h"
#include "base/time.h"
#include "command_line.h"
#include "net/ip_address.h"

namespace natsession::console {
namespace {

// What is read as text and then checked.
struct Texts {
  std::vector<std::string> ledgers, stores, controls;
  std::string listen = "127.0.0.1:8088";
  std::string time_limit = "5m";
  std::string memory = "768M";
};

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "box";
}

void add_serving(CLI::App& app, ConsoleOptions& options, Texts& texts) {
  const auto list = [&](const char* names, std::vector<std::string>& into, const char* value,
                        const char* help) {
    app.add_option(names, into, help)->type_name(value)->allow_extra_args(false);
  };
  list("--ledger", texts.ledgers, "[NAME=]DIR",
       "A box's ledger; may be given several times. Default: the daemon's own");
  list("--store", texts.stores, "[NAME=]URL",
       "Instead of a ledger: the records of many boxes in ClickHouse, clickhouse://HOST/DATABASE/TABLE");
  list(
      "--control", texts.controls, "[NAME=]PATH",
      "A box's control socket; the first belongs to the first ledger, or by NAME. Default, without a ledger: "
      "/run/natsessiond/control.sock");
  app.add_option("--listen", texts.listen,
                 "Where it is reached: ADDRESS:PORT, or unix:PATH; default 127.0.0.1:8088. Beyond this "
                 "machine it takes "
                 "--users and --tls-cert")
      ->type_name("WHERE");
  list("--host", options.hosts, "NAME",
       "A name that browsers call it by, beside its address, localhost and this machine's name");
  app.add_option("--users", options.users, "Who may log in: a file that 'user set' makes")->type_name("FILE");
  app.add_option("--tls-cert", options.certificate,
                 "The certificate, with those between it and its root, PEM")
      ->type_name("FILE");
  app.add_option("--tls-key", options.key, "Its key, PEM")->type_name("FILE");
  app.add_option(
         "--group", options.group,
         "Without --users: users of this machine in this group may ask, root may steer; default natsession")
      ->type_name("NAME");
  app.add_option("--audit", options.audit,
                 "Who asked what, a line of JSON each; default /var/log/natsession-console/audit.jsonl")
      ->type_name("FILE");
  app.add_option("--journal", options.journal, "The journal's socket, which gets the same; empty: none")
      ->type_name("PATH");
  app.add_flag("--require-reason", options.require_reason,
               "Questions that name hosts take a reason, for the audit log");
  app.add_option("--time-limit", texts.time_limit, "How long a question may take; default 5m")
      ->type_name("DURATION");
  app.add_option("--memory", texts.memory, "How much memory a question may take; default 768M")
      ->type_name("BYTES");
  app.add_option("--questions", options.questions_of_user,
                 "How many questions a user may ask at once; default 4")
      ->type_name("N")
      ->check(CLI::Range(1, 100));
  app.add_option("--all-questions", options.questions, "How many all users may; default 16")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
  app.add_option("--connections", options.connections, "How many connections are served at once; default 256")
      ->type_name("N")
      ->check(CLI::Range(8, 10000));
}

Result<void> read_listen(const std::string& text, ConsoleOptions& options) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) {
    options.unix_socket = true;
    options.listen_path = text.substr(kUnix.size());
    if (options.listen_path.empty()) return usage_error("--listen unix: names no path");
    return {};
  }
  // Port 0: the kernel chooses, and the first line on standard error tells.
  constexpr std::string_view kAny = ":0";
  const bool any = text.ends_with(kAny) && !text.ends_with(std::string(":") + std::string(kAny));
  auto at = HostPort::parse(any ? text.substr(0, text.size() - kAny.size()) : text, 8088);
  if (!at) return Error{at.error().kind, "--listen: " + at.error().message};
  options.listen_at = std::move(*at);
  if (any) options.listen_at.port = 0;
  return {};
}

Result<void> check_safety(ConsoleOptions& options) {
  if (options.certificate.empty() != options.key.empty())
    return usage_error("--tls-cert and --tls-key go together");
  const bool local = options.unix_socket || is_loopback(options.listen_at.host);
  if (local) return {};
  const std::string where = "--listen " + options.listen_at.to_string() + " can be reached from elsewhere: ";
  if (options.users.empty())
    return usage_error(where + "give --users FILE, or listen at 127.0.0.1 or unix:PATH");
  if (options.certificate.empty())
    return usage_error(where + "passwords take TLS: give --tls-cert and --tls-key");
  return {};
}

Result<void> finish(ConsoleOptions& options, const Texts& texts) {
  if (auto read = read_listen(texts.listen, options); !read) return read;
  if (auto safe = check_safety(options); !safe) return safe;
  const auto time = parse_duration(texts.time_limit);
  if (!time) return Error{time.error().kind, "--time-limit: " + time.error().message};
  if (*time < std::chrono::seconds(1)) return usage_error("--time-limit: a question needs a second at least");
  options.limits.time = std::chrono::ceil<std::chrono::seconds>(*time);
  const auto memory = parse_byte_count(texts.memory);
  if (!memory) return Error{memory.error().kind, "--memory: " + memory.error().message};
  constexpr std::uint64_t kLeast = 256ULL << 20U;
  if (memory->bytes < kLeast) return usage_error("--memory: a question needs 256M at least");
  options.limits.memory = memory->bytes;
  auto boxes = boxes_of(texts.ledgers, texts.stores, texts.controls, machine_name());
  if (!boxes) return boxes.error();
  options.boxes = std::move(*boxes);
  std::vector<std::string> hosts{"localhost", "127.0.0.1", "[::1]", lower_case(machine_name())};
  if (!options.unix_socket && !options.listen_at.host.empty()) {
    const bool v6 = options.listen_at.host.find(':') != std::string::npos;
    hosts.push_back(lower_case(v6 ? "[" + options.listen_at.host + "]" : options.listen_at.host));
  }
  for (const std::string& host : options.hosts) hosts.push_back(lower_case(host));
  options.hosts = std::move(hosts);
  return {};
}

Ending wrong(const Error& error) {
  fmt::print(stderr, "natsession-console: {}; natsession-console --help tells more\n", error.message);
  return {exit_status(error.kind)};
}

}  // namespace

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const auto address = IpAddress::parse(host);
  if (!address) return false;
  return Prefix::parse("127.0.0.0/8")->contains(*address) || Prefix::parse("::1/128")->contains(*address);
}

ParsedOptions read_console_options(int argc, char** argv) {
  CLI::App app("Shows the log of natsessiond in a browser, and answers over HTTP.", "natsession-console");
  ctl::set_help_format(app);
  app.set_version_flag("--version", "natsession-console " NATSESSION_VERSION);
  app.set_config("--config", "",
                 "Read options from this file, a line 'name = value' each, before those given here")
      ->type_name("FILE");
  app.footer(
      "Examples:\n  natsession-console\n"
      "  natsession-console --ledger /var/lib/natsessiond/ledger --control /run/natsessiond/control.sock\n"
      "  natsession-console --ledger a=/mnt/a/ledger --ledger b=/mnt/b/ledger\n"
      "  natsession-console --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem \\\n"
      "      --users /etc/natsession-console/users --host nat.example.net\n"
      "  natsession-console user set alice --role ask --users /etc/natsession-console/users\n\n"
      "Exit status: 0 all is well; 1 it could not be done; 2 usage; 3 something or a permission is missing.");
  ConsoleOptions options;
  Texts texts;
  add_serving(app, options, texts);
  CLI::App* const user = app.add_subcommand("user", "Set, remove and list who may log in");
  user->fallthrough();
  user->require_subcommand(1);
  CLI::App* const set =
      user->add_subcommand("set", "Make a user, or change one; the password comes on standard input");
  CLI::App* const remove = user->add_subcommand("remove", "Remove a user, whose logins end");
  CLI::App* const list = user->add_subcommand("list", "Users and their roles");
  for (CLI::App* const command : {set, remove, list}) {
    command->fallthrough();
    ctl::set_help_format(*command);
  }
  ctl::set_help_format(*user);
  set->add_option("name", options.user, "Letters, digits and ._-@")->type_name("NAME")->required();
  set->add_option(
         "--role", options.role,
         "look: the logger's state and sums that name no host; ask: every question; steer: changes as well")
      ->type_name("ROLE")
      ->required();
  remove->add_option("name", options.user, "Who")->type_name("NAME")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return Ending{app.exit(error)};
    return wrong(usage_error(error.what()));
  }
  if (*user) {
    options.action = *set      ? ConsoleOptions::Action::kSetUser
                     : *remove ? ConsoleOptions::Action::kRemoveUser
                               : ConsoleOptions::Action::kListUsers;
    return options;
  }
  if (auto finished = finish(options, texts); !finished) return wrong(finished.error());
  return options;
}

}  // namespace natsession::console
