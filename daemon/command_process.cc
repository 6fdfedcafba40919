#include "command_process.h"

#include <array>
#include <csignal>

#include <fmt/format.h>

#include "delivery_setup.h"
#include "identity/source_url.h"

namespace natsession {

// What passes over the link: one request, then its reply.
struct CommandProcess::Request {
  enum class Kind : int { kStart, kEnded, kSignal };  // kStart: with the command's standard input, and output
  Kind kind = Kind::kEnded;
  int signal = 0;
};
struct CommandProcess::Reply {
  std::array<char, 256> error{};  // of kStart; NUL at its end, empty where it went well
  bool ended = false;
  CommandEnd end;
};

Result<std::unique_ptr<CommandProcess>> CommandProcess::start(const Command& command,
                                                              const std::optional<User>& user) {
  // It refuses itself no system calls: what the command does is its own affair, and it would inherit that.
  auto process = HelperProcess::start_finishing("natsess-exec", user, [&](int link) {
    ShellCommand shell(command);
    for (;;) {
      Request request;
      const auto message = receive_message(link, std::as_writable_bytes(std::span(&request, 1)));
      if (!message || message->length != sizeof request) break;
      Reply reply;
      if (request.kind == Request::Kind::kStart) {
        const auto started = shell.start(message->descriptors[0].get(), message->descriptors[1].get());
        if (!started) started.error().message.copy(reply.error.data(), reply.error.size() - 1);
      }
      if (request.kind == Request::Kind::kSignal) shell.signal(request.signal);
      const auto end = shell.ended();
      reply.ended = end.has_value();
      reply.end = end.value_or(CommandEnd{});
      if (!send_message(link, std::as_bytes(std::span(&reply, 1)), {})) break;
    }
    // The daemon was killed, or gave up on the sink. Its next one is to find no command of this one.
    if (shell.was_started()) ChildProcess::stop(shell, {});
  });
  if (!process) return process.error();
  std::unique_ptr<CommandProcess> runner(new CommandProcess(*std::move(process)));
  // So a process that could not become what it should is known at once.
  if (!runner->ask({}))
    return Error{ErrorKind::kPermission, fmt::format("a process for its command{}: {}",
                                                     user ? ", as user " + user->name : "", runner->death_)};
  return runner;
}

std::optional<CommandProcess::Reply> CommandProcess::ask(const Request& request,
                                                         std::span<const int> descriptors) {
  Reply reply;
  if (!death_.empty()) return std::nullopt;
  if (send_message(process_.link(), std::as_bytes(std::span(&request, 1)), descriptors)) {
    const auto message = receive_message(process_.link(), std::as_writable_bytes(std::span(&reply, 1)));
    if (message && message->length == sizeof reply) return reply;
  }
  death_ = process_.wait_for_end();
  return std::nullopt;
}

Result<void> CommandProcess::start(int input, int output) {
  const std::array<int, 2> both{input, output};
  const auto reply = ask({.kind = Request::Kind::kStart}, std::span(both).first(output < 0 ? 1 : 2));
  if (!reply)
    return Error{ErrorKind::kUnavailable,
                 fmt::format("natsess-exec, which starts it: {}; a restart brings it back", death_)};
  if (reply->error[0] != '\0') return Error{ErrorKind::kUnavailable, reply->error.data()};
  return {};
}

// Of a command whose parent has gone nothing more is heard: its input ends, and it is done with.
std::optional<CommandEnd> CommandProcess::ended() {
  const auto reply = ask({});
  if (!reply) return CommandEnd{SIGKILL};
  return reply->ended ? std::optional(reply->end) : std::nullopt;
}

void CommandProcess::signal(int number) {
  (void)ask({.kind = Request::Kind::kSignal, .signal = number});
}

namespace {

// `what` it is of, for messages.
Result<std::unique_ptr<CommandRunner>> start_for(const Command& command, const std::string& what) {
  const auto about = [&](Error error) {
    error.message = fmt::format("{}: {}", what, error.message);
    return error;
  };
  const auto whom = find_command_user(command.user);
  if (!whom) return about(whom.error());
  auto runner = CommandProcess::start(command, *whom);
  if (!runner) return about(runner.error());
  return std::unique_ptr<CommandRunner>(*std::move(runner));
}

}  // namespace

Result<std::vector<std::unique_ptr<CommandRunner>>> start_command_processes(const Config& config) {
  std::vector<std::unique_ptr<CommandRunner>> runners;
  for (const SinkConfig* const sink : destinations(config)) {
    if (!sink->command()) continue;
    auto runner = start_for(*sink->command(), "sink " + sink->url().name());
    if (!runner) return runner.error();
    runners.push_back(*std::move(runner));
  }
  return runners;
}

Result<std::vector<std::unique_ptr<CommandRunner>>> start_identity_commands(const Config& config) {
  std::vector<std::unique_ptr<CommandRunner>> runners;
  for (const IdentityUrl& url : config.identity) {
    if (!url.command()) continue;
    auto runner = start_for({.text = *url.command()}, "identity " + url.name());
    if (!runner) return runner.error();
    runners.push_back(*std::move(runner));
  }
  return runners;
}

}  // namespace natsession
