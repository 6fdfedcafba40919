#include "sink/local/exec_sink.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <sstream>

#include <catch2/catch.hpp>

#include "sink/loopback.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

class ExecFixture {
 public:
  ExecFixture() { std::signal(SIGPIPE, SIG_IGN); }  // as the program does
  std::unique_ptr<ExecSink> start(const std::string& command, std::chrono::milliseconds timeout = 5s) {
    ExecSettings settings{.command = command, .options = {}, .timeout = timeout, .patience = {500ms, 500ms}};
    return std::make_unique<ExecSink>("exec:" + command, std::move(settings),
                                      std::make_unique<ShellCommand>(Command{.text = command}));
  }
  [[nodiscard]] std::string out() const { return directory.file("out"); }

  const TempDir directory;
};

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace

TEST_CASE_METHOD(ExecFixture, "a command gets a line for each record, and its input ends with the sink",
                 "[sink][exec]") {
  auto sink = start("cat >" + out() + "; echo the end >>" + out());
  CHECK(sink->deliver(numbered_records(0, 3000)).kind == Answer::Kind::kDelivered);
  CHECK(sink->deliver(numbered_records(3000, 3001)).taken == 1);
  CHECK(has_children());
  sink.reset();
  CHECK_FALSE(has_children());
  const auto records = numbered_records(0, 3001);
  CHECK((read_file(out()) == testing::text_of(records) + "the end\n"));
}

TEST_CASE_METHOD(ExecFixture, "a command is not started before there is a record", "[sink][exec]") {
  auto sink = start("touch " + out());
  CHECK(sink->flush());
  CHECK(sink->reopen());
  CHECK_FALSE(has_children());
}

TEST_CASE_METHOD(ExecFixture, "a command that ends is started again with the whole batch", "[sink][exec]") {
  // Reads a line, and fails; the second time it reads all.
  auto sink = start("if [ -e " + directory.file("again") + " ]; then cat >>" + out() + "; else touch " +
                    directory.file("again") + "; head -c 50 >/dev/null; exit 3; fi");
  const auto records = numbered_records(0, 1000);
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains("ended with status 3"));
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  sink.reset();
  CHECK((numbers_in(read_file(out())) == numbers(0, 1000)));
}

TEST_CASE_METHOD(ExecFixture, "a command that was killed between two batches is started again",
                 "[sink][exec]") {
  auto sink = start("echo $$ >" + directory.file("pid") + "; exec cat >>" + out());
  CHECK(sink->deliver(numbered_records(0, 1)).taken == 1);
  const pid_t pid = std::stoi(read_file(directory.file("pid")));
  CHECK(eventually([&] { return !read_file(out()).empty(); }));
  CHECK(::kill(pid, SIGKILL) == 0);
  siginfo_t info{};
  CHECK(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
  CHECK(sink->deliver(numbered_records(1, 3)).kind == Answer::Kind::kDelivered);
  sink.reset();
  CHECK(numbers_in(read_file(out())) == numbers(0, 3));
}

TEST_CASE_METHOD(ExecFixture, "a command that has ended while idle leaves no zombie", "[sink][exec]") {
  auto sink = start("head -n 1 >" + out());
  CHECK(sink->deliver(numbered_records(0, 1)).taken == 1);
  CHECK(eventually([&] {
    CHECK(sink->flush());
    return !has_children();
  }));
}

TEST_CASE_METHOD(ExecFixture, "a command that cannot be run is a target that does not exist",
                 "[sink][exec]") {
  const auto [command, status] = GENERATE(table<std::string, std::string>({
      {"/no/such/command", "127"},
      {"exec /dev/null", "126"},
      {"exit 127", "127"},
  }));
  const Answer answer = start(command + " 2>/dev/null")->deliver(numbered_records(0, 10));
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kProjectNotExist);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains(command) && Contains("ended with status " + status));
}

TEST_CASE_METHOD(ExecFixture,
                 "a command that reads nothing is waited for, for the timeout, and goes on later",
                 "[sink][exec]") {
  const std::string gate = directory.file("gate");
  REQUIRE(::mkfifo(gate.c_str(), 0600) == 0);
  auto sink = start("read -r go <" + gate + "; exec cat >" + out(), 100ms);
  const auto records = numbered_records(0, 1000);
  for (int tries = 0; tries < 2; ++tries) {
    const Answer answer = sink->deliver(records);
    CHECK(answer.kind == Answer::Kind::kRetryLater);
    CHECK(answer.taken == 0);
    CHECK_THAT(answer.why, Contains("reads nothing"));
  }
  testing::write_file(gate, "go\n");
  std::size_t taken = 0;
  CHECK(eventually([&] {
    taken += sink->deliver(std::span(records).subspan(taken)).taken;
    return taken == records.size();
  }));
  sink.reset();
  CHECK((numbers_in(read_file(out())) == numbers(0, 1000)));
}

TEST_CASE_METHOD(ExecFixture, "other records than those under way begin on a line of their own",
                 "[sink][exec]") {
  const std::string gate = directory.file("gate");
  REQUIRE(::mkfifo(gate.c_str(), 0600) == 0);
  auto sink = start("read -r go <" + gate + "; exec cat >" + out(), 100ms);
  CHECK(sink->deliver(numbered_records(0, 1000)).taken == 0);  // a pipe's worth, which ends within a line
  testing::write_file(gate, "go\n");
  CHECK(eventually(
      [&] { return sink->deliver(numbered_records(5000, 5002)).kind == Answer::Kind::kDelivered; }));
  sink.reset();
  auto got = numbers_in(read_file(out()));
  REQUIRE(got.size() > 2);
  CHECK(got.back() == 5001);
  CHECK(got[got.size() - 2] == 5000);
  const auto first_new = std::find(got.begin(), got.end(), 5000U);
  got.erase(first_new, got.end());
  CHECK((got == numbers(0, static_cast<std::uint32_t>(got.size()))));
}

TEST_CASE_METHOD(ExecFixture, "a command that closes its input and stays is ended", "[sink][exec]") {
  auto sink = start("exec 0<&-; exec sleep 1000");
  const Answer answer = sink->deliver(numbered_records(0, 1000));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(answer.why, Contains("closed its standard input"));
  CHECK_FALSE(has_children());
}

TEST_CASE_METHOD(ExecFixture, "a command that does not end with its input is asked to, then killed",
                 "[sink][exec]") {
  const std::string stubborn = GENERATE(std::string(), std::string("trap '' TERM; "));
  auto sink = start(stubborn + "cat >/dev/null; touch " + out() + "; while :; do sleep 1000; done");
  CHECK(sink->deliver(numbered_records(0, 1)).taken == 1);
  SECTION("at the end") {
    sink.reset();
  }
  SECTION("when it is reopened") {
    CHECK(sink->reopen());
  }
  CHECK(std::filesystem::exists(out()));
  CHECK_FALSE(has_children());
}

TEST_CASE_METHOD(ExecFixture, "a command inherits standard error, and nothing else that is open or blocked",
                 "[sink][exec]") {
  const UniqueFd secret(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  ::setenv("NOTIFY_SOCKET", "/run/nowhere", 1);
  auto sink = start(
      "{ ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> .*/\\1/p' | tr '\\n' ' '; "
      "grep SigBlk /proc/self/status | tr -d '\\t\\n'; echo \" ${NOTIFY_SOCKET-none}\"; } >" +
      out() + "; cat >/dev/null");
  CHECK(sink->deliver(numbered_records(0, 1)).taken == 1);
  sink.reset();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::unsetenv("NOTIFY_SOCKET");
  // 3 is the directory that ls reads.
  CHECK(read_file(out()) == "0 1 2 3 SigBlk:0000000000000000 none\n");
}

TEST_CASE_METHOD(ExecFixture, "a command sees of the environment what is named, and no other sink's secret",
                 "[sink][exec]") {
  const testing::ManualClock clock{UnixNs(0s)};
  for (const char* name : {"NATSESSION_TEST_SECRET", "NATSESSION_TEST_A", "NATSESSION_TEST_B"})
    ::setenv(name, "here", 1);
  for (const char* name : {"HOME", "LANG", "TZ"}) ::setenv(name, "C", 0);
  const std::string options = GENERATE("", "?env=NATSESSION_TEST_A,NATSESSION_TEST_B");
  auto sink = open_sink("exec:env | sort >" + out() + "; cat >/dev/null" + options, {}, clock);
  REQUIRE(sink);
  CHECK((*sink)->deliver(numbered_records(0, 1)).taken == 1);
  sink->reset();
  std::string names;
  std::istringstream lines(read_file(out()));
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find('='));
    if (name != "PWD" && name != "_" && name != "SHLVL" && name != "OLDPWD")
      names += name + " ";  // the shell's own
  }
  const std::string wanted = options.empty() ? "" : "NATSESSION_TEST_A NATSESSION_TEST_B ";
  CHECK(names == "HOME LANG " + wanted + "PATH TZ ");
  const auto wrong = check_sink_url("exec:cat?env=A,,B");
  REQUIRE_FALSE(wrong);
  CHECK_THAT(wrong.error().message, Contains("env") && Contains("NAME,NAME"));
}

TEST_CASE_METHOD(ExecFixture, "a command is run by its URL, with options for its lines", "[sink][exec]") {
  const testing::ManualClock clock{UnixNs(0s)};
  const auto records = numbered_records(0, 2);
  const EncoderOptions csv{.format = RecordFormat::kCsv};
  SECTION("lines of JSON, whatever the default is") {
    auto sink = open_sink("exec:cat >" + out(), csv, clock);
    REQUIRE(sink);
    CHECK((*sink)->name() == "exec:cat >" + out());
    CHECK((*sink)->deliver(records).kind == Answer::Kind::kDelivered);
    sink->reset();
    CHECK(read_file(out()) == testing::text_of(records));
  }
  SECTION("csv, with a header for each start") {
    auto sink = open_sink("exec:cat >>" + out() + "?format=csv", {}, clock);
    REQUIRE(sink);
    CHECK((*sink)->deliver(records).kind == Answer::Kind::kDelivered);
    CHECK((*sink)->reopen());
    CHECK((*sink)->deliver(records).kind == Answer::Kind::kDelivered);
    sink->reset();
    const std::string once = std::string(make_encoder(csv)->header()) + testing::text_of(records, csv);
    CHECK(read_file(out()) == once + once);
  }
  SECTION("a question mark and a percent sign") {
    auto sink = open_sink("exec:printf '%25s%3F' x >" + out() + "; cat >/dev/null", {}, clock);
    REQUIRE(sink);
    CHECK((*sink)->deliver(records).kind == Answer::Kind::kDelivered);
    sink->reset();
    CHECK(read_file(out()) == "x?");
  }
}
