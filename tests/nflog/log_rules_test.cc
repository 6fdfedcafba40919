#include "nflog/log_rules.h"

#include <catch2/catch.hpp>

namespace natsession::testing {
namespace {

using Seen = LogRules::Seen;

LogRules of_group(std::uint16_t group, const Result<std::string>& nft,
                  const Result<std::string>& legacy = std::string()) {
  return find_log_rules(std::span(&group, 1), nft, legacy).at(0);
}

std::string rule(const std::string& words) {
  return "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy "
         "accept;\n\t\t" +
         words + "\n\t}\n}\n";
}

}  // namespace

TEST_CASE("a rule of nft that logs to the group is found, in any order of its words", "[nflog][check]") {
  for (const char* const words : {"tcp dport 23 log group 100 drop",
                                  "log prefix \"refused \" group 100 snaplen 64 queue-threshold 20 drop",
                                  "log snaplen 64 group 100 counter packets 0 bytes 0 drop",
                                  "ct state invalid counter log group 100"}) {
    INFO(words);
    CHECK(of_group(100, rule(words)).seen == Seen::kRule);
    CHECK(of_group(10, rule(words)).seen == Seen::kNone);
  }
  CHECK(of_group(100, rule("log group 100 drop\n\t\tudp dport 5 log group 100 drop")).rules == 2);
}

TEST_CASE("what only looks like a rule that logs to the group is none", "[nflog][check]") {
  for (const char* const words :
       {"tcp dport 23 log prefix \"log group 100 \" drop", "log group 5 drop comment \"log group 100\"",
        "log drop", "meta skgid 100 log level info drop", "jump log group 100", "queue to 100"}) {
    INFO(words);
    CHECK(of_group(100, rule(words)).seen == Seen::kNone);
  }
}

TEST_CASE("rules of iptables are read, and those that nft only names are not known", "[nflog][check]") {
  const std::string legacy =
      "*filter\n:INPUT ACCEPT [0:0]\n"
      "-A INPUT -p tcp -m comment --comment \"a \\\" -j NFLOG --nflog-group 7 \" -j DROP\n"
      "# -A INPUT -j NFLOG --nflog-group 7\n"
      "-A INPUT -p udp -j NFLOG --nflog-prefix \"no \" --nflog-group 100\n"
      "-A INPUT -p udp -j NFLOG\nCOMMIT\n";
  CHECK(of_group(100, std::string(), legacy).seen == Seen::kRule);
  CHECK(of_group(7, std::string(), legacy).seen == Seen::kNone);
  CHECK(of_group(0, std::string(), legacy).seen == Seen::kRule);
  CHECK(of_group(100, rule("counter packets 0 bytes 0 xt target \"NFLOG\"")).seen == Seen::kUnknown);
}

TEST_CASE("a listing that cannot be had leaves open what was not found", "[nflog][check]") {
  const Error none{ErrorKind::kUnavailable, "there is no command nft here"};
  CHECK(of_group(100, none).seen == Seen::kUnknown);
  CHECK(of_group(100, std::string(), none).seen == Seen::kUnknown);
  CHECK(of_group(100, rule("log group 100"), none).seen == Seen::kRule);
  const std::vector<std::uint16_t> both{100, 101};
  const auto all = find_log_rules(both, rule("log group 101 drop"), std::string());
  REQUIRE(all.size() == 2);
  CHECK(all[0].seen == Seen::kNone);
  CHECK(all[1].seen == Seen::kRule);
}

}  // namespace natsession::testing
