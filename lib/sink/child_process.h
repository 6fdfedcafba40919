// ChildProcess: a shell command, fed through its standard input.
//
// It runs by /bin/sh -c in a process group of its own, without capabilities. Its standard output goes
// nowhere, its standard error is this program's, and it inherits no other descriptor. Of the environment it
// has PATH, HOME, LANG, TZ and what it is given by name: what else is there may be another sink's secret. The
// program ignores SIGPIPE.
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

class ChildProcess {
 public:
  // How a child ended.
  struct End {
    int status = 0;  // as waitpid() tells it
    [[nodiscard]] bool well() const { return status == 0; }
    [[nodiscard]] bool not_found() const;  // the shell could not run the command
    [[nodiscard]] std::string to_string() const;
  };

  // How long stop() waits for the command to end by itself, and then for SIGTERM to end it.
  struct Patience {
    std::chrono::milliseconds after_end_of_input{5000};
    std::chrono::milliseconds after_sigterm{2000};
  };

  // Errors: kUnavailable if there can be no pipe or process.
  [[nodiscard]] static Result<ChildProcess> start(const std::string& command,
                                                  const std::vector<std::string>& variables = {});
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();  // kills it, unless it has been stopped

  // Writes what the pipe takes now. Returns errno, or 0.
  int write(std::string_view bytes, std::size_t& written);
  // Bytes in the pipe that the command has not read.
  [[nodiscard]] std::size_t unread() const;
  // Until there is room, where `for_room`, or nobody reads any more, or `limit` has passed.
  void wait(bool for_room, std::chrono::nanoseconds limit) const;

  // How it has ended, if it has within `limit`. There is no zombie then.
  [[nodiscard]] std::optional<End> end_within(std::chrono::nanoseconds limit);

  // Ends its input and waits; asks it to end; kills it, with its group.
  End stop(const Patience& patience);

 private:
  ChildProcess(pid_t pid, UniqueFd input) : pid_(pid), input_(std::move(input)) {}

  pid_t pid_;
  UniqueFd input_;
  std::optional<End> end_;
};

}  // namespace natsession
