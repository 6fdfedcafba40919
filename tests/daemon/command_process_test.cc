// A command that a process of another user starts: what ChildProcess does must not know the difference.
#include "command_process.h"

#include <sys/stat.h>

#include <csignal>
#include <string>

#include <catch2/catch.hpp>
#include <pwd.h>
#include <unistd.h>

#include "support/files.h"
#include "support/temp_dir.h"

using namespace std::chrono_literals;

namespace natsession::testing {
namespace {

constexpr ChildProcess::Patience kPatience{.after_end_of_input = 10s, .after_sigterm = 10s};

// As nobody where these tests are root, and as who they are otherwise.
class CommandFixture {
 public:
  CommandFixture() { ::chmod(directory.file("").c_str(), 0777); }
  std::unique_ptr<CommandProcess> make(const std::string& command) {
    std::signal(SIGPIPE, SIG_IGN);
    auto runner = CommandProcess::start({.text = command}, *find_command_user(""));
    REQUIRE(runner);
    return *std::move(runner);
  }
  std::string out() { return directory.file("out"); }
  // Which the command writes to out() as it begins.
  pid_t pid_written_by(ChildProcess& child) {
    const auto begun = [&] { return ::access(out().c_str(), F_OK) == 0 && !read_file(out()).empty(); };
    while (!begun()) child.wait(false, 1ms);
    return std::stoi(read_file(out()));
  }
  TempDir directory;
};

void feed(ChildProcess& child, std::string_view text) {
  std::size_t written = 0;
  REQUIRE(child.write(text, written) == 0);
  REQUIRE(written == text.size());
}

}  // namespace

TEST_CASE_METHOD(CommandFixture, "a command reads its input as another user, again and again",
                 "[daemon][exec]") {
  const auto runner = make("id -u >>" + out() + "; cat >>" + out() + "; exit 3");
  const std::string user = std::to_string(geteuid() == 0 ? ::getpwnam("nobody")->pw_uid : geteuid());
  for (const std::string& expected : {user + "\na line\n", user + "\na line\n" + user + "\na line\n"}) {
    auto child = ChildProcess::start(*runner);
    REQUIRE(child);
    CHECK_FALSE(child->end_within({}));
    feed(*child, "a line\n");
    const CommandEnd end = child->stop(kPatience);
    CHECK(end.to_string() == "ended with status 3");
    CHECK(read_file(out()) == expected);
  }
}

TEST_CASE_METHOD(CommandFixture, "a command that does not end is killed with what it has started",
                 "[daemon][exec]") {
  const auto runner = make("trap '' TERM; sleep 1000 & echo $! >" + out() + "; while :; do wait; done");
  auto child = ChildProcess::start(*runner);
  REQUIRE(child);
  const pid_t sleeper = pid_written_by(*child);
  CHECK(child->stop({.after_end_of_input = 0ms, .after_sigterm = 0ms}).to_string() ==
        "killed by signal 9 (Killed)");
  while (::kill(sleeper, 0) == 0) child->wait(false, 1ms);  // a zombie until init has taken note of it
}

TEST_CASE_METHOD(CommandFixture, "a shell that cannot run the command tells so", "[daemon][exec]") {
  const auto runner = make("/no/such/command 2>/dev/null");
  auto child = ChildProcess::start(*runner);
  REQUIRE(child);
  const auto end = child->end_within(10s);
  REQUIRE(end);
  CHECK(end->not_found());
}

TEST_CASE_METHOD(CommandFixture, "when the process that starts it is killed, that is told at each start",
                 "[daemon][exec]") {
  // The command's parent.
  const auto runner = make("echo $PPID >" + out() + "; exec cat >/dev/null");
  auto child = ChildProcess::start(*runner);
  REQUIRE(child);
  REQUIRE(::kill(pid_written_by(*child), SIGKILL) == 0);
  const auto end = child->end_within(10s);
  REQUIRE(end);
  CHECK(end->to_string() == "killed by signal 9 (Killed)");
  for (int i = 0; i < 2; ++i) {
    const auto again = ChildProcess::start(*runner);
    REQUIRE_FALSE(again);
    CHECK(again.error().message ==
          "natsess-exec, which starts it: killed by signal 9 (Killed); a restart brings it back");
  }
}

}  // namespace natsession::testing
