#include "ask/trace_question.h"

#include <catch2/catch.hpp>

#include "ctl/in_utc.h"
#include "ctl/sample_answer.h"

namespace natsession::ctl {
namespace {

using namespace testing;  // NOLINT: the tests' own language

struct Asking : InUtc {
  TraceQuestion read() const {
    const auto question = read_question(words, at_second(0));
    REQUIRE(question);
    return *question;
  }
  std::string refusal() const {
    const auto question = read_question(words, at_second(0));
    REQUIRE_FALSE(question);
    CHECK(question.error().kind == ErrorKind::kUsage);
    return question.error().message;
  }
  TraceWords words{"203.0.113.7:40123", {}, {}, "2026-11-21 12:20", {}, {}, {}};
};

TEST_CASE_METHOD(Asking, "a minute means all of it", "[ctl][trace]") {
  const TraceQuestion question = read();
  CHECK(question.nat_ip.to_string() == "203.0.113.7");
  CHECK(question.nat_port == 40123);
  CHECK(question.from == at_second(0));
  CHECK(question.until == at_second(60) - std::chrono::milliseconds(1));
  CHECK(question.slack == std::chrono::seconds(5));
  CHECK_FALSE(question.protocol);
  CHECK_FALSE(question.pub_ip);
}

TEST_CASE_METHOD(Asking, "peer, protocol and slack are conditions", "[ctl][trace]") {
  words.nat = "[2001:db8::7]:1024";
  words.pub = ":443";
  words.protocol = "tcp";
  words.slack = "1m";
  const TraceQuestion question = read();
  CHECK(question.nat_ip.to_string() == "2001:db8::7");
  CHECK(question.pub_port == 443);
  CHECK_FALSE(question.pub_ip);
  CHECK(question.protocol == 6);
  CHECK(question.slack == std::chrono::minutes(1));
  CHECK(question_text(question) == "[2001:db8::7]:1024 tcp towards port 443");
}

TEST_CASE_METHOD(Asking, "an address alone asks for all of its ports", "[ctl][trace]") {
  words.nat = "2001:db8::7";
  CHECK_FALSE(read().nat_port);
  CHECK(question_text(read()) == "2001:db8::7, any port");
}

TEST_CASE_METHOD(Asking, "a time may be a range, up to now", "[ctl][trace]") {
  words.at.clear();
  words.since = "-1h";
  CHECK(read().from == at_second(-3600));
  CHECK(read().until == at_second(0));
  words.until = "-30m";
  CHECK(read().until == at_second(-1800));
  words.until = "-2h";
  CHECK(refusal().starts_with("--until: "));
}

TEST_CASE_METHOD(Asking, "what is wrong with a question is told with the part and its value",
                 "[ctl][trace]") {
  words.nat = "";
  CHECK(refusal() == "--nat: which address and port? --nat 203.0.113.7:40123");
  words.nat = "203.0.113.7:99999";
  CHECK(refusal() == "--nat: '99999' is not a port: a number up to 65535");
  words.nat = "203.0.113.0/24";
  CHECK(refusal().find("'203.0.113.0/24'") != std::string::npos);
  words = TraceWords{"203.0.113.7", "peer", {}, "now", {}, {}, {}};
  CHECK(refusal().starts_with("--pub: 'peer'"));
  words = TraceWords{"203.0.113.7", {}, "tpc", "now", {}, {}, {}};
  CHECK(refusal().starts_with("--proto: 'tpc'"));
  words = TraceWords{"203.0.113.7", {}, {}, "now", {}, {}, "soon"};
  CHECK(refusal().starts_with("--slack: 'soon'"));
  words = TraceWords{"203.0.113.7", {}, {}, "now", "-1h", {}, {}};
  CHECK(refusal().starts_with("--at: give one time"));
}

TEST_CASE_METHOD(Asking, "the zone is told with the time", "[ctl][trace]") {
  CHECK(question_time_text(sample_question()) ==
        "2026-11-21 12:20:30.000 UTC, give or take 5s, zone UTC (UTC+00:00)");
}

}  // namespace
}  // namespace natsession::ctl
