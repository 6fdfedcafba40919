#include "identity_command.h"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>

#include "support/identity_story.h"
#include "support/manual_clock.h"

namespace natsession::testing {
namespace {

using std::chrono::seconds;

// A command that does as the test says.
struct Script {
  std::size_t starts = 0;
  std::vector<int> signals;
  UniqueFd output;  // where it writes
  std::optional<CommandEnd> end;
};

class ScriptedRunner final : public CommandRunner {
 public:
  explicit ScriptedRunner(Script& script) : script_(script) {}
  Result<void> start(int, int output) override {
    ++script_.starts;
    script_.output = UniqueFd(::fcntl(output, F_DUPFD_CLOEXEC, 0));
    script_.end.reset();
    return {};
  }
  std::optional<CommandEnd> ended() override { return script_.end; }
  void signal(int number) override {
    script_.signals.push_back(number);
    if (number == SIGKILL) script_.end = CommandEnd{SIGKILL};
  }

 private:
  Script& script_;
};

TEST_CASE(
    "a command that tells nothing any more and does not end when it is asked to is killed, and started again",
    "[daemon][identity]") {
  ManualClock clock{UnixNs(seconds(1'796'000'000))};
  Script script;
  IdentityStory story;
  IdentityCommand command("exec:x", std::make_unique<ScriptedRunner>(script), clock);
  const auto turn = [&] { (void)command.turn(to_ms(clock.now()), story); };
  turn();
  REQUIRE(script.starts == 1);
  script.output = UniqueFd();  // it closes its standard output
  for (int i = 0; i < 4; ++i) {
    turn();
    clock.advance(seconds(1));
  }
  CHECK_FALSE(script.signals.empty());
  CHECK(std::all_of(script.signals.begin(), script.signals.end(),
                    [](int number) { return number == SIGTERM; }));
  for (int i = 0; i < 10; ++i) {
    turn();
    clock.advance(seconds(1));
  }
  CHECK(std::count(script.signals.begin(), script.signals.end(), SIGKILL) == 1);
  CHECK(script.starts == 2);
  script.end = CommandEnd{};
}

}  // namespace
}  // namespace natsession::testing
