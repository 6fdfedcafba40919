// The orderly stop. Each daemon is a process of its own, since it ends that; it has no collector, and so
// needs no kernel.
#include "supervisor.h"

#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "support/files.h"
#include "support/numbered_record.h"
#include "support/stuck_sink.h"
#include "support/temp_dir.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kReturned = 42;  // run() came back, with status 0
constexpr std::uint32_t kRecords = 100;

// With one sink, and records for it.
struct Daemon {
  explicit Daemon(std::unique_ptr<Sink> sink, const std::string& ledger = {}) {
    ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    block_signals();
    std::vector<SinkSpec> specs;
    specs.push_back({.sink = std::move(sink)});
    LedgerSetup setup;
    if (!ledger.empty()) {
      setup.settings.directory = ledger;
      setup.writer = std::move(*LedgerWriter::open(setup.settings, clock));
    }
    delivery = std::make_shared<Delivery>(std::move(specs), DeliverySettings{}, clock, DeliveryCallbacks{},
                                          "here", std::move(setup));
    Producer& producer = delivery->add_producer();
    threads.emplace(delivery);
    if (!threads->start()) ::_exit(1);
    delivery->begin();
    for (std::uint32_t number = 0; number < kRecords; ++number) producer.emit(numbered_record(number));
    producer.flush();
  }
  int run(const std::function<void()>& finish = [] {}) {
    ControlService service(collectors, *delivery, {}, clock);
    ServiceManager manager;
    Supervisor supervisor(
        Config{}, [] { return Result<Config>(Config{}); }, collectors, *delivery, *threads, service, notice,
        nullptr, nullptr, manager);
    return supervisor.run("", finish);
  }

  const SystemClock clock;
  Collectors collectors;
  std::shared_ptr<Delivery> delivery;
  std::optional<DeliveryThreads> threads;
  WakeFd notice;
};

void ask(int signal) {
  ::kill(::getpid(), signal);
}

// The status with which a daemon ends its process, which is the one that `body` is in.
template <typename Body>
int status_of(Body body) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) ::_exit(body());
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST_CASE("two signals at once are one stop, and what was queued is delivered", "[daemon][stop]") {
  CHECK(status_of([] {
          const auto capture = std::make_shared<Capture>();
          Daemon daemon(std::make_unique<CaptureSink>("sink", capture));
          ask(SIGTERM);
          ask(SIGINT);
          const int status = daemon.run();
          return capture->count() == kRecords ? kReturned + status : 1;
        }) == kReturned);
}

TEST_CASE("a third signal, or SIGQUIT, gives up, also while a sink is waited for", "[daemon][stop]") {
  const int last = GENERATE(SIGTERM, SIGQUIT);
  const auto began = std::chrono::steady_clock::now();
  CHECK(status_of([&] {
          const auto latch = std::make_shared<Latch>();
          Daemon daemon(std::make_unique<StuckSink>("stuck", std::make_shared<Capture>(), latch));
          latch->wait_for_a_waiter();
          ask(SIGTERM);
          std::thread([&] {
            for (;; std::this_thread::yield()) ask(last);
          }).detach();
          return kReturned + daemon.run();
        }) == 1);
  CHECK(std::chrono::steady_clock::now() - began < 15s);  // a sink is waited for 20 s
}

TEST_CASE(
    "a sink that hangs beside a ledger ends the process, with its memory as it is and the ledger closed",
    "[daemon][stop]") {
  const TempDir directory;
  const std::string finished = directory.file("finished");
  const auto began = std::chrono::steady_clock::now();
  CHECK(status_of([&] {
          const auto latch = std::make_shared<Latch>();
          Daemon daemon(std::make_unique<StuckSink>("stuck", std::make_shared<Capture>(), latch),
                        directory.file("ledger"));
          latch->wait_for_a_waiter();
          ask(SIGTERM);
          // What comes behind it would destroy what the sink's thread uses.
          return kReturned + daemon.run([&] { write_file(finished, ""); });
        }) == 0);
  CHECK(std::chrono::steady_clock::now() - began < 15s);
  CHECK(std::filesystem::exists(finished));
  const SystemClock clock;
  const auto next = LedgerWriter::open({.directory = directory.file("ledger")}, clock);
  REQUIRE(next);
  CHECK((*next)->status().written == kRecords);
  REQUIRE((*next)->previous_run());
  CHECK_FALSE((*next)->previous_run()->crashed);
}

}  // namespace
}  // namespace natsession::testing
