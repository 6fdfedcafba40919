// CommandProcess: runs the command of an exec sink, or of an exec source of identity, as a user of its own,
// who is neither root nor this program's. To become another user, and to signal its processes, takes
// privileges that this program gives up. So a process of its own becomes that user before (natsess-exec),
// keeps no capability, and starts, signals and waits for the command as it is told: the command's parent is
// of the command's user, and so nothing that runs while the daemon does can become anybody.
// Threads: start() while there is one; then one at a time, that of the sink.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "helper_process.h"
#include "sink/local/child_process.h"

namespace natsession {

class CommandProcess final : public CommandRunner {
 public:
  // Errors: no process can be had, or it cannot become `user`.
  [[nodiscard]] static Result<std::unique_ptr<CommandProcess>> start(const Command& command,
                                                                     const std::optional<User>& user);

  Result<void> start(int input, int output) override;
  std::optional<CommandEnd> ended() override;
  void signal(int number) override;

 private:
  struct Request;
  struct Reply;

  explicit CommandProcess(HelperProcess process) : process_(std::move(process)) {}
  // None: the process has ended, and death_ says how.
  std::optional<Reply> ask(const Request& request, std::span<const int> descriptors = {});

  HelperProcess process_;
  std::string death_;
};

// One for each of the configuration's sinks that feeds a command, as whom it names.
// Errors: as find_command_user(), and CommandProcess::start(), naming the sink.
[[nodiscard]] Result<std::vector<std::unique_ptr<CommandRunner>>> start_command_processes(
    const Config& config);
// Likewise for each source of identity that is a command, in their order.
[[nodiscard]] Result<std::vector<std::unique_ptr<CommandRunner>>> start_identity_commands(
    const Config& config);

}  // namespace natsession
