#include "console_options.h"

#include <catch2/catch.hpp>

namespace natsession::console {
namespace {

ParsedOptions parse(std::vector<std::string> words) {
  words.insert(words.begin(), "natsession-console");
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return read_console_options(static_cast<int>(words.size()), pointers.data());
}

TEST_CASE("without passwords it listens to this machine alone", "[console][options]") {
  CHECK(parse({}));
  CHECK(parse({"--listen", "127.0.0.1:9000"}));
  CHECK(parse({"--listen", "[::1]:9000"}));
  CHECK(parse({"--listen", "unix:/run/x.sock"}));
  for (const char* const open :
       {"0.0.0.0:8088", "[::]:8088", ":8088", "192.0.2.1:8088", "nat.example.net:8088"}) {
    INFO(open);
    const auto refused = parse({"--listen", open});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == 2);
  }
}

TEST_CASE("passwords do not travel without TLS", "[console][options]") {
  CHECK_FALSE(parse({"--listen", "0.0.0.0:8088", "--users", "users"}));
  CHECK_FALSE(parse({"--listen", "0.0.0.0:8088", "--tls-cert", "c", "--tls-key", "k"}));
  CHECK(parse({"--listen", "0.0.0.0:8088", "--users", "users", "--tls-cert", "c", "--tls-key", "k"}));
  CHECK_FALSE(parse({"--tls-cert", "c"}));
}

TEST_CASE("it may be called by its address and by names that were said", "[console][options]") {
  const auto options = parse({"--listen", "127.0.0.2:1", "--host", "NAT.example.net"});
  REQUIRE(options);
  for (const char* const name : {"localhost", "127.0.0.1", "[::1]", "127.0.0.2", "nat.example.net"})
    CHECK(std::count(options->hosts.begin(), options->hosts.end(), name) == 1);
}

TEST_CASE("a limit that no question could meet is refused", "[console][options]") {
  CHECK_FALSE(parse({"--memory", "1M"}));
  CHECK_FALSE(parse({"--time-limit", "0s"}));
  CHECK_FALSE(parse({"--time-limit", "soon"}));
  CHECK(parse({"--memory", "1G", "--time-limit", "90s"})->limits.time == std::chrono::seconds(90));
}

TEST_CASE("users are changed by commands of their own", "[console][options]") {
  const auto set = parse({"user", "set", "alice", "--role", "ask", "--users", "f"});
  REQUIRE(set);
  CHECK(set->action == ConsoleOptions::Action::kSetUser);
  CHECK(set->user == "alice");
  CHECK(set->users == "f");
  CHECK(parse({"--users", "f", "user", "list"})->action == ConsoleOptions::Action::kListUsers);
  CHECK_FALSE(parse({"user", "set", "alice"}));
  CHECK_FALSE(parse({"users"}));
}

}  // namespace
}  // namespace natsession::console
