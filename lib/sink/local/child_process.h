// A shell command, fed through its standard input: ShellCommand starts and ends it, as whoever this process
// is; ChildProcess feeds it, and asks a CommandRunner for the rest, since who feeds it may be another process
// with other rights than who starts it.
//
// It runs by /bin/sh -c in a process group of its own, without capabilities. Its standard output goes
// nowhere unless it is asked for, its standard error is this program's, and it inherits no other descriptor.
// Of the environment it has PATH, HOME, LANG, TZ and what it is given by name: what else is there may be
// another sink's secret. The program ignores SIGPIPE.
// Threads: one at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace natsession {

struct Command {
  std::string text;                         // for the shell
  std::vector<std::string> variables = {};  // of the environment, by name
  std::string user = {};                    // whom it runs as; empty: whoever the program thinks fit
};

// How a command ended.
struct CommandEnd {
  int status = 0;  // as waitpid() tells it
  [[nodiscard]] bool well() const { return status == 0; }
  [[nodiscard]] bool not_found() const;  // the shell could not run it
  [[nodiscard]] std::string to_string() const;
};

// Who starts a command, again and again, one at a time.
class CommandRunner {
 public:
  virtual ~CommandRunner() = default;
  // Starts it with a copy of `input` as its standard input, and one of `output` as its standard output; -1:
  // that goes nowhere. The one before has ended.
  // Errors: kUnavailable if there can be no process.
  virtual Result<void> start(int input, int output) = 0;
  // How it has ended, if it has. There is no zombie then.
  virtual std::optional<CommandEnd> ended() = 0;
  // To its process group, also to what it left behind there when it ended.
  virtual void signal(int number) = 0;
};

class ShellCommand final : public CommandRunner {
 public:
  explicit ShellCommand(Command command) : command_(std::move(command)) {}  // its user is not looked at

  Result<void> start(int input, int output) override;
  std::optional<CommandEnd> ended() override;
  void signal(int number) override;
  [[nodiscard]] bool was_started() const { return pid_ > 0; }

 private:
  const Command command_;
  pid_t pid_ = -1;
  std::optional<CommandEnd> end_;
};

class ChildProcess {
 public:
  // How long stop() waits for the command to end by itself, and then for SIGTERM to end it.
  struct Patience {
    std::chrono::milliseconds after_end_of_input{5000};
    std::chrono::milliseconds after_sigterm{2000};
  };

  // `runner` outlives it.
  // Errors: kUnavailable if there can be no pipe or process.
  [[nodiscard]] static Result<ChildProcess> start(CommandRunner& runner);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();  // kills it, unless it has been stopped

  // Writes what the pipe takes now. Returns errno, or 0.
  int write(std::string_view bytes, std::size_t& written);
  // Bytes in the pipe that the command has not read.
  [[nodiscard]] std::size_t unread() const;
  // Until there is room, where `for_room`, or nobody reads any more, or `limit` has passed.
  void wait(bool for_room, std::chrono::nanoseconds limit) const;

  // How it has ended, if it has within `limit`.
  [[nodiscard]] std::optional<CommandEnd> end_within(std::chrono::nanoseconds limit);

  // Ends its input and waits; asks it to end; kills it, with its group.
  CommandEnd stop(const Patience& patience);
  // The same for a command whose input has ended.
  static CommandEnd stop(CommandRunner& runner, const Patience& patience);

 private:
  ChildProcess(CommandRunner& runner, UniqueFd input) : runner_(&runner), input_(std::move(input)) {}

  CommandRunner* runner_;  // null: moved from
  UniqueFd input_;
  std::optional<CommandEnd> end_;
};

}  // namespace natsession
