#include "ask/asker.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <poll.h>
#include <unistd.h>

#include "ask/question_table.h"
#include "command.h"

namespace natsession::console {
namespace {

using namespace std::chrono_literals;

// Commands that do what a question may do at worst.
void add_say(ctl::Commands& commands) {
  const auto text = std::make_shared<std::string>();
  commands.add("say", "Says it, and what standard input has")
      .argument("text", *text, "TEXT", "What", true)
      .run([text](const ctl::Global&) {
        std::string input;
        for (int c = std::getchar(); c != EOF; c = std::getchar()) input += static_cast<char>(c);
        std::fprintf(stderr, "{\"progress\": 0.5, \"records\": 7}\na warning\n");
        std::printf("%s|%s|%s", text->c_str(), input.c_str(), std::getenv("TZ"));
        return 3;
      });
}
void add_hang(ctl::Commands& commands) {
  commands.add("hang", "Never ends").run([](const ctl::Global&) {
    std::printf("begun\n");
    std::fflush(stdout);
    while (true) ::pause();
    return 0;
  });
}
void add_eat(ctl::Commands& commands) {
  commands.add("eat", "Takes memory without end").run([](const ctl::Global&) {
    std::vector<std::unique_ptr<char[]>> eaten;
    while (true) eaten.push_back(std::make_unique<char[]>(1 << 20));
    return 0;
  });
}
void add_eat_aside(ctl::Commands& commands) {
  commands.add("eat-aside", "The same, in a thread of its own").run([](const ctl::Global&) {
    std::thread([] {
      std::vector<std::unique_ptr<char[]>> eaten;
      while (true) eaten.push_back(std::make_unique<char[]>(1 << 20));
    }).join();
    return 0;
  });
}
void add_many_threads(ctl::Commands& commands) {
  commands.add("many-threads", "Takes memory for stacks").run([](const ctl::Global&) {
    while (true) std::thread([] { ::pause(); }).detach();
    return 0;
  });
}
void add_crash(ctl::Commands& commands) {
  commands.add("crash", "Ends without a word").run([](const ctl::Global&) -> int { ::_exit(9); });
}
constexpr ctl::AddCommand* kHarmfulCommands[] = {add_say,       add_hang,         add_eat,
                                                 add_eat_aside, add_many_threads, add_crash};

struct Asking {
  Asking() {
    auto started = Asker::start(kHarmfulCommands);
    REQUIRE(started);
    asker.emplace(std::move(*started));
  }
  RunningQuestion ask(std::vector<std::string> words, QuestionLimits limits = {}, std::string input = {}) {
    auto running = asker->ask({std::move(words), std::move(input), "Asia/Tokyo", limits});
    REQUIRE(running);
    return std::move(*running);
  }
  static std::string all_of(const RunningQuestion& running) {
    std::string all;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(running.output(), buffer, sizeof buffer)) > 0;)
      all.append(buffer, static_cast<std::size_t>(count));
    return all;
  }
  std::optional<Asker> asker;
};

TEST_CASE_METHOD(Asking, "a question runs as a process, with its input and its time zone",
                 "[console][asker]") {
  const RunningQuestion running = ask({"say", "hello there"}, {}, "input\n");
  CHECK(all_of(running) == "hello there|input\n|Asia/Tokyo");
  const Ended ended = running.wait();
  CHECK(ended.how == Ended::How::kAnswered);
  CHECK(ended.status == 3);
  CHECK(running.messages() == "a warning\n");
  CHECK(running.progress().share == 0.5);
  CHECK(running.progress().records == 7);
}

TEST_CASE_METHOD(Asking, "a command line that will not do says so as natsessionctl does",
                 "[console][asker]") {
  const RunningQuestion running = ask({"sey"});
  CHECK(all_of(running).empty());
  CHECK(running.wait().status == 2);
  CHECK(running.messages().find("did you mean say?") != std::string::npos);
}

TEST_CASE_METHOD(Asking, "a question that nobody wants any more ends, whatever it does", "[console][asker]") {
  auto running = std::make_unique<RunningQuestion>(ask({"hang"}));
  char byte = 0;
  REQUIRE(::read(running->output(), &byte, 1) == 1);
  SECTION("cancelled") {
    running->cancel();
    static_cast<void>(all_of(*running));
    CHECK(running->wait().how == Ended::How::kBroken);
  }
  SECTION("forgotten") {
    const UniqueFd output(::dup(running->output()));
    running.reset();
    char rest[64];
    while (::read(output.get(), rest, sizeof rest) > 0) {
    }
    SUCCEED("its end of the pipe is closed");
  }
}

TEST_CASE_METHOD(Asking, "a question ends at its limits, and says which", "[console][asker]") {
  const RunningQuestion late = ask({"hang"}, {.time = 1s});
  static_cast<void>(all_of(late));
  CHECK(late.wait().how == Ended::How::kTime);
  if (std::string_view(NATSESSION_SANITIZE).empty()) {
    for (const char* const command : {"eat", "eat-aside", "many-threads"}) {
      INFO(command);
      const RunningQuestion hungry = ask({command}, {.memory = 64U << 20U});
      static_cast<void>(all_of(hungry));
      CHECK(hungry.wait().how == Ended::How::kMemory);
    }
  }
}

TEST_CASE_METHOD(Asking, "one that breaks down harms no other", "[console][asker]") {
  const RunningQuestion broken = ask({"crash"});
  const RunningQuestion good = ask({"say", "still here"});
  static_cast<void>(all_of(broken));
  CHECK(broken.wait().how == Ended::How::kBroken);
  CHECK(all_of(good).starts_with("still here"));
  CHECK(good.wait().how == Ended::How::kAnswered);
}

TEST_CASE_METHOD(Asking, "arguments that are too long, or have a NUL, are refused", "[console][asker]") {
  CHECK(asker->ask({{"say", std::string(1 << 17, 'x')}, {}, {}, {}}).error().kind == ErrorKind::kUsage);
  CHECK(asker->ask({{"say", std::string("a\0b", 3)}, {}, {}, {}}).error().kind == ErrorKind::kUsage);
}

TEST_CASE_METHOD(Asking, "a user has so many questions at once, and may cancel his own alone",
                 "[console][questions]") {
  QuestionTable table({.of_user = 2, .in_all = 3});
  auto first = table.reserve("alice");
  auto second = table.reserve("alice");
  REQUIRE((first && second));
  CHECK(table.reserve("alice").error().kind == ErrorKind::kUnavailable);
  auto third = table.reserve("bob");
  REQUIRE(third);
  CHECK(table.reserve("carol").error().kind == ErrorKind::kUnavailable);
  second->reset();
  CHECK(table.reserve("carol"));

  auto active = std::make_shared<ActiveQuestion>("alice", "hang", ask({"hang"}));
  table.add("q1", active);
  REQUIRE(table.list("alice").size() == 1);
  CHECK(table.list("alice")[0].what == "hang");
  CHECK(table.list("bob").empty());
  CHECK_FALSE(table.cancel("bob", "q1"));
  CHECK_FALSE(table.cancel("alice", "q2"));
  CHECK(table.cancel("alice", "q1"));
  static_cast<void>(all_of(active->running));
  CHECK(active->cancelled);
  active.reset();
  CHECK(table.list("alice").empty());
  table.cancel_all();
  CHECK_FALSE(table.reserve("dave"));
}

}  // namespace
}  // namespace natsession::console
