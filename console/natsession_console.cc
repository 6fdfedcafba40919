// natsession-console: the log of one or several boxes in a browser, and over HTTP. The composition root:
// reads its command line, forks the process that questions are copies of, opens what it needs, and serves.
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "access/password.h"
#include "base/exit_status.h"
#include "base/files.h"
#include "console.h"
#include "console_options.h"
#include "http/http_server.h"
#include "http/listen_socket.h"
#include "service_manager.h"

namespace natsession {

namespace ctl {
AddCommand add_status, add_sessions, add_trace, add_top, add_timeline, add_ports, add_gaps, add_sql,
    add_export, add_enable, add_disable, add_flow_log, add_identity;
}

namespace console {
namespace {

constexpr ctl::AddCommand* kCommands[] = {
    ctl::add_status,  ctl::add_sessions, ctl::add_trace,   ctl::add_top,    ctl::add_timeline,
    ctl::add_ports,   ctl::add_gaps,     ctl::add_sql,     ctl::add_export, ctl::add_enable,
    ctl::add_disable, ctl::add_flow_log, ctl::add_identity};

constexpr std::size_t kMaxBody = std::size_t{8} << 20;  // a list of questions, a statement

int fail(const Error& error) {
  fmt::print(stderr, "natsession-console: {}\n", error.message);
  return exit_status(error.kind);
}

// Without echo where it is typed.
Result<std::string> read_password() {
  const bool typed = ::isatty(STDIN_FILENO) != 0;
  termios before{};
  if (typed) {
    fmt::print(stderr, "Password: ");
    ::tcgetattr(STDIN_FILENO, &before);
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  std::string line;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) line += static_cast<char>(c);
  if (typed) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fmt::print(stderr, "\n");
  }
  if (line.empty()) return usage_error("no password came on standard input");
  return line;
}

int change_users(const ConsoleOptions& options) {
  if (options.users.empty()) return fail(usage_error("which file? --users FILE"));
  switch (options.action) {
    case ConsoleOptions::Action::kSetUser: {
      const auto role = parse_role(options.role);
      if (!role) return fail(usage_error("--role '" + options.role + "' is not look, ask or steer"));
      const auto password = read_password();
      if (!password) return fail(password.error());
      auto hash = hash_password(*password);
      if (!hash) return fail(hash.error());
      if (auto set = UserFile::set(options.users, options.user, {*role, std::move(*hash)}); !set)
        return fail(set.error());
      break;
    }
    case ConsoleOptions::Action::kRemoveUser:
      if (auto removed = UserFile::remove(options.users, options.user); !removed)
        return fail(removed.error());
      break;
    default: {
      const auto users = UserFile::read(options.users);
      if (!users) return fail(users.error());
      for (const auto& [name, user] : *users) fmt::print("{}\t{}\n", name, to_string(user.role));
    }
  }
  return kDone;
}

// Where it listens.
struct Listener {
  std::optional<UnixListener> local;
  UniqueFd tcp;
  std::string shown;  // as a user would open it

  [[nodiscard]] int fd() const { return local ? local->fd() : tcp.get(); }
};

Result<Listener> listen(const ConsoleOptions& options) {
  Listener listener;
  if (options.unix_socket) {
    auto local = UnixListener::open(options.listen_path, options.group,
                                    {"--listen unix:", "stop it, or give another --listen"});
    if (!local) return local.error();
    listener.local.emplace(std::move(*local));
    listener.shown = options.listen_path;
    return listener;
  }
  auto tcp = listen_tcp(options.listen_at);
  if (!tcp) {
    return Error{tcp.error().kind,
                 "--listen: " + tcp.error().message + "; end what listens there, or give another one"};
  }
  listener.tcp = std::move(*tcp);
  listener.shown = fmt::format("{}://{}:{}/", options.certificate.empty() ? "http" : "https",
                               options.listen_at.host, bound_port(listener.tcp.get()));
  return listener;
}

Result<std::optional<HttpCertificate>> read_certificate(const ConsoleOptions& options) {
  constexpr ByteCount kMaxPem{1 << 20};
  if (options.certificate.empty()) return std::optional<HttpCertificate>();
  const auto chain = read_file(options.certificate, kMaxPem, ErrorKind::kUsage);
  if (!chain) return chain.error();
  const auto key = read_trusted_file(options.key, kMaxPem, ErrorKind::kUsage);
  if (!key) return key.error();
  return std::optional(HttpCertificate{*chain, *key});
}

int serve(const ConsoleOptions& options) {
  // Before there is a thread, or anything that its copies should not have.
  auto asker = Asker::start(kCommands);
  if (!asker) return fail(asker.error());
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // it knows passwords for a moment, and logins
  sigset_t stops;
  sigemptyset(&stops);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&stops, signal);
  ::sigprocmask(SIG_BLOCK, &stops, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  std::optional<UserFile> users;
  if (!options.users.empty()) {
    auto opened = UserFile::open(options.users);
    if (!opened) return fail(opened.error());
    users.emplace(std::move(*opened));
  }
  auto certificate = read_certificate(options);
  if (!certificate) return fail(certificate.error());
  auto audit = AuditLog::open(options.audit, options.journal);
  if (!audit) return fail(audit.error());
  auto listener = listen(options);
  if (!listener) return fail(listener.error());

  std::optional<Logins> logins;
  if (users) logins.emplace(*users, LoginLimits{});
  QuestionTable questions({options.questions_of_user, options.questions});
  Api api({options.boxes, options.limits, options.require_reason}, *asker, questions, **audit);
  Console console({.tls = certificate->has_value(),
                   .require_reason = options.require_reason,
                   .group = options.group,
                   .boxes = options.boxes,
                   .version = NATSESSION_VERSION},
                  RequestGuard(options.hosts, options.unix_socket), logins ? &*logins : nullptr, api,
                  **audit);
  HttpServerSettings settings;
  settings.limits = {.connections = options.connections,
                     .asking = std::chrono::seconds(30),
                     // A question waits for the first of its answer so long.
                     .duration = std::chrono::minutes(1) + options.limits.time,
                     .hurry = std::chrono::milliseconds(200),
                     .hurry_in_all = std::chrono::seconds(2)};
  settings.max_body = kMaxBody;
  settings.body_allowed = [&](const HttpServerRequest& head) { return console.body_allowed(head); };
  settings.threads = HttpServerSettings::Threads::kEach;
  settings.certificate = std::move(*certificate);
  HttpServer server(std::move(settings), [&](HttpServerRequest& request) { return console.answer(request); });
  if (auto started = server.start(listener->fd()); !started) return fail(started.error());
  fmt::print(stderr, "natsession-console: {} of {} {}\n", listener->shown, options.boxes.size(),
             options.boxes.size() == 1 ? "box" : "boxes");
  ServiceManager().ready();

  const UniqueFd signals(::signalfd(-1, &stops, SFD_CLOEXEC));
  if (!signals) return fail(system_error("signalfd", errno));
  std::array<pollfd, 2> waited{{{signals.get(), POLLIN, 0}, {asker->link(), POLLIN, 0}}};
  while (::poll(waited.data(), waited.size(), -1) <= 0) {
  }
  const bool asked_to_stop = waited[0].revents != 0;
  questions.cancel_all();
  server.stop();
  if (asked_to_stop) return kDone;
  return fail(
      {ErrorKind::kIo, "the process that answers questions has ended; a restart begins with another"});
}

}  // namespace
}  // namespace console
}  // namespace natsession

int main(int argc, char** argv) {
  using namespace natsession;           // NOLINT
  using namespace natsession::console;  // NOLINT
  const auto options = read_console_options(argc, argv);
  if (!options) return options.error().status;
  return options->action == ConsoleOptions::Action::kServe ? serve(*options) : change_users(*options);
}
