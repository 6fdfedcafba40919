#include "ask/trace_list.h"

#include <catch2/catch.hpp>

#include "ctl/in_utc.h"
#include "ctl/sample_answer.h"

namespace natsession::ctl {
namespace {

using namespace testing;  // NOLINT: the tests' own language

struct Listed : InUtc {
  static TraceList read(std::string_view csv) {
    auto list = read_trace_list(csv, "", at_second(0));
    REQUIRE(list);
    return std::move(*list);
  }
  static std::string refusal(std::string_view csv) {
    const auto list = read_trace_list(csv, "", at_second(0));
    REQUIRE_FALSE(list);
    return list.error().message;
  }
};

TEST_CASE_METHOD(Listed, "without a head the columns are address, port, time, protocol, peer",
                 "[ctl][trace]") {
  const TraceList list =
      read("203.0.113.7,40123,2026-11-21T12:20:30Z\r\n2001:db8::7,1024,-2h,udp,2001:db8::1,53\n");
  REQUIRE(list.questions.size() == 2);
  CHECK(list.questions[0].wrong.empty());
  CHECK(list.questions[0].question.nat_port == 40123);
  CHECK(list.questions[0].question.from == at_second(30));
  CHECK(list.questions[1].question.nat_ip.to_string() == "2001:db8::7");
  CHECK(list.questions[1].question.protocol == 17);
  CHECK(list.questions[1].question.pub_port == 53);
  CHECK(list.questions[1].line == 2);
}

TEST_CASE_METHOD(Listed, "a head names the columns in any order, and others go along", "[ctl][trace]") {
  const TraceList list =
      read("\xef\xbb\xbftime,ticket,nat\n\n\"2026-11-21 12:20:30\",\"T,1\",203.0.113.7:40123\n");
  REQUIRE(list.questions.size() == 1);
  CHECK(list.questions[0].wrong.empty());
  CHECK(list.questions[0].line == 3);
  CHECK(list.questions[0].cells[1] == "T,1");
  CHECK(list.questions[0].question.nat_port == 40123);
}

TEST_CASE_METHOD(Listed, "a head that cannot be right is refused", "[ctl][trace]") {
  CHECK(refusal("ticket,nat_ip\n1,203.0.113.7\n").find("not both nat_ip (or nat) and time") !=
        std::string::npos);
  CHECK(refusal("nat_ip,nat_ip,time\n").find("the column nat_ip twice") != std::string::npos);
  CHECK(refusal("203.0.113.7,\"40123,now\n").find("is not CSV") != std::string::npos);
}

TEST_CASE_METHOD(Listed, "a question that cannot be read keeps its line and says why", "[ctl][trace]") {
  const TraceList list =
      read("nowhere,1,now\n203.0.113.7,40123,2026-11-21T12:20:30Z\n203.0.113.7,1,now,tcp,1.1.1.1,1,x\n");
  REQUIRE(list.questions.size() == 3);
  CHECK(list.questions[0].wrong.find("'nowhere'") != std::string::npos);
  CHECK(list.questions[2].wrong == "7 values for 6 columns");

  TraceResult result;
  result.answers.resize(1);
  result.answers[0].verdict = TraceVerdict::kFound;
  result.answers[0].candidates = {sample_candidate(), sample_candidate()};
  result.answers[0].gaps = {sample_gap()};
  const std::string csv = trace_list_csv(list, result);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < csv.size();) {
    const std::size_t end = csv.find('\n', at);
    lines.push_back(csv.substr(at, end - at));
    at = end + 1;
  }
  REQUIRE(lines.size() == 5);
  CHECK(lines[0] ==
        "nat_ip,nat_port,time,protocol,pub_ip,pub_port,verdict,rank,pri_ip,pri_port,answer_protocol,answer_"
        "nat_port,"
        "peer,vpc_id,instance,first_seen,last_seen,why,warnings");
  CHECK(lines[1].starts_with("nowhere,1,now,,,,bad question,,"));
  CHECK(lines[2].starts_with(
      "203.0.113.7,40123,2026-11-21T12:20:30Z,,,,found,1,10.0.0.5,51234,tcp,40123,[2001:db8::9]:443,blue,gw-"
      "1,"
      "2026-11-21T12:19:30.000Z,2026-11-21T12:21:00.000Z,it moved traffic in this window,"));
  CHECK(lines[2].find("overrun, 1,200 events lost") != std::string::npos);
  CHECK(lines[3].find("found,2,") != std::string::npos);
}

TEST_CASE_METHOD(Listed, "an empty list has an answer without lines", "[ctl][trace]") {
  const TraceList list = read("");
  CHECK(list.questions.empty());
  CHECK(trace_list_csv(list, {}).starts_with("nat_ip,"));
}

TEST_CASE_METHOD(Listed, "a first column that is empty stays a column", "[ctl][trace]") {
  const TraceList list = read("ticket,nat,time\n,203.0.113.7,now\n");
  TraceResult result;
  result.answers.resize(1);
  CHECK(trace_list_csv(list, result).find("\n\"\",203.0.113.7,now,no session,") != std::string::npos);
}

}  // namespace
}  // namespace natsession::ctl
