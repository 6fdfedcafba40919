// IdentityCommand: a source of identity that is a command: starts it, reads what it tells (LinesSource), and
// starts it again when it has ended.
// Threads: as of IdentitySource.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "base/unique_fd.h"
#include "identity/sources/lines_source.h"
#include "sink/local/child_process.h"

namespace natsession {

class IdentityCommand final : public IdentitySource {
 public:
  // Between two starts: doubled each time up to the longest, and the shortest again after a run that lasted.
  static constexpr std::chrono::seconds kShortestPause{1}, kLongestPause{60};
  // For one that tells nothing any more, and goes on, to end by SIGTERM; then it is killed.
  static constexpr std::chrono::seconds kPatience{5};

  // `clock` outlives it.
  IdentityCommand(std::string name, std::unique_ptr<CommandRunner> runner, const Clock& clock)
      : lines_(std::move(name)), runner_(std::move(runner)), clock_(clock) {}
  ~IdentityCommand() override;

  [[nodiscard]] std::string_view name() const override { return lines_.name(); }
  Result<void> open() override { return {}; }
  [[nodiscard]] int fd() const override { return lines_.fd(); }
  std::chrono::milliseconds turn(UnixMs now, IdentityOutput& output) override;

 private:
  void start(IdentityOutput& output);
  void put_off();  // the next start, by a pause that grows

  LinesSource lines_;
  const std::unique_ptr<CommandRunner> runner_;
  const Clock& clock_;
  UniqueFd input_;  // its standard input, which ends with us
  bool runs_ = false;
  std::chrono::nanoseconds started_{}, next_start_{};
  std::optional<std::chrono::nanoseconds> ending_since_;  // SIGTERM was sent
  std::chrono::seconds pause_ = kShortestPause;
};

}  // namespace natsession
