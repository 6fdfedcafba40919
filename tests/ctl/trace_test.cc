#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "ask/log_options.h"
#include "ask/trace_list.h"
#include "ask/trace_text.h"
#include "ctl/sample_answer.h"
#include "query/query_dice.h"

namespace natsession::ctl {
namespace {

using namespace testing;  // NOLINT: the tests' own language

struct Asking : InUtc {
  TraceQuestion read() const {
    const auto asked = read_question(words, at_second(0));
    REQUIRE(asked);
    REQUIRE(asked->size() == 1);
    CHECK(asked->front().warning.empty());
    return asked->front().question;
  }
  std::string refusal() const {
    const auto question = read_question(words, at_second(0));
    REQUIRE_FALSE(question);
    CHECK(question.error().kind == ErrorKind::kUsage);
    return question.error().message;
  }
  TraceWords words{"203.0.113.7:40123", {}, {}, "2026-11-21 12:20", {}, {}, {}, {}};
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

TEST_CASE_METHOD(Asking, "of which namespace it was asked stands in question and answer", "[ctl][trace]") {
  words.netns = "blue";
  CHECK_THAT(question_text(read()), Catch::Matchers::Contains(", network namespace blue"));
  TraceAnswer answer;
  answer.verdict = TraceVerdict::kNoSession;
  CHECK_THAT(summary_of(read(), answer, {}).sure,
             Catch::Matchers::Contains("; network namespace blue alone"));
  CHECK_THAT(trace_json({read(), ""}, answer, {}), Catch::Matchers::Contains("\"netns\": \"blue\""));
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
  CHECK(refusal() == "--nat: which address and port? 203.0.113.7:40123");
  words.nat = "203.0.113.7:99999";
  CHECK(refusal() == "--nat: '99999' is not a port: a number up to 65535");
  words.nat = "203.0.113.0/24";
  CHECK(refusal().find("'203.0.113.0/24'") != std::string::npos);
  words = TraceWords{"203.0.113.7", "peer", {}, "now", {}, {}, {}, {}};
  CHECK(refusal().starts_with("--pub: 'peer'"));
  words = TraceWords{"203.0.113.7", {}, "tpc", "now", {}, {}, {}, {}};
  CHECK(refusal().starts_with("--proto: 'tpc'"));
  words = TraceWords{"203.0.113.7", {}, {}, "now", {}, {}, "soon", {}};
  CHECK(refusal().starts_with("--slack: 'soon'"));
  words = TraceWords{"203.0.113.7", {}, {}, "now", "-1h", {}, {}, {}};
  CHECK(refusal().starts_with("--at: give one time"));
}

TEST_CASE_METHOD(Asking, "a time that is still to come is refused, beyond what clocks may differ",
                 "[ctl][trace]") {
  words.at = "2026-11-21 12:20:06";
  CHECK(
      refusal() ==
      "--at: '2026-11-21 12:20:06' is still to come: 2026-11-21 12:20:06.000 UTC (UTC+00:00, this machine's "
      "zone); now it is 2026-11-21 12:20:00.000 UTC");
  words.at = "2026-11-21 12:20:05";
  CHECK(read().from == at_second(5));
  words.at.clear();
  words.since = "-1h";
  for (const char* const later : {"2026-11-22", "18:00"}) {
    words.until = later;
    const auto asked = read_question(words, at_second(0));
    REQUIRE(asked);
    CHECK(asked->front().question.until == at_second(0));
    CHECK(asked->front().warning.starts_with(std::string("--until '") + later +
                                             "' is still to come, 2026-11-2"));
  }
}

TEST_CASE_METHOD(Asking, "an end and a time are understood as mails have them, without options",
                 "[ctl][trace]") {
  const auto taken = [&](std::vector<std::string> given) {
    words = {};
    REQUIRE(take_words(given, words));
    return read();
  };
  const UnixMs then = at_second(-1200);  // 2026-11-21 12:00:00 UTC
  for (const auto& given : std::vector<std::vector<std::string>>{
           {"203.0.113.7:40123", "2026-11-21", "12:00:00"},
           {"203.0.113.7:40123", "2026-11-21 12:00:00"},
           {"203.0.113.7:40123 2026-11-21 12:00:00"},
           {"203.0.113.7", "40123", "2026-11-21", "12:00:00"},
           {"203.0.113.7", "port", "40123", "at", "2026-11-21", "12:00:00"},
           {"203.0.113.7 port 40123", "21/Nov/2026:12:00:00", "+0000"},
           {"203.0.113.7#40123", "1795262400"},
           {"203.0.113.7:40123", "Sat,", "21", "Nov", "2026", "13:00:00", "+0100"}}) {
    CAPTURE(given);
    const TraceQuestion question = taken(given);
    CHECK(question.nat_ip.to_string() == "203.0.113.7");
    CHECK(question.nat_port == 40123);
    CHECK(question.from == then);
    CHECK_FALSE(question.protocol);
  }
  CHECK(taken({"203.0.113.7:40123", "TCP", "yesterday", "12:00:00"}).protocol == 6);
  CHECK(taken({"203.0.113.7:40123", "yesterday", "12:00:00"}).from == then - std::chrono::hours(24));
  CHECK_FALSE(taken({"203.0.113.7", "now"}).nat_port);
  for (const char* const end :
       {"2001:db8::7 40123", "[2001:db8::7]:40123", "2001:db8::7 port 40123", "[2001:db8::7] 40123"}) {
    CAPTURE(end);
    const TraceQuestion question = taken({end, "now"});
    CHECK(question.nat_ip.to_string() == "2001:db8::7");
    CHECK(question.nat_port == 40123);
  }
  words = TraceWords{"203.0.113.7", {}, {}, {}, {}, {}, {}, {}};
  CHECK(take_words({"203.0.113.8"}, words).error().message.starts_with("--nat: "));
  words = TraceWords{{}, {}, {}, "now", {}, {}, {}};
  CHECK(take_words({"203.0.113.8", "-2h"}, words).error().message.starts_with("--at: "));
}

// The clocks of this zone were set back on 2026-10-25 at 01:00 UTC.
struct InBerlin {
  InBerlin() {
    ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    ::tzset();
  }
  ~InBerlin() { const InUtc again; }
};

TEST_CASE_METHOD(Asking, "a time that the clocks showed twice is two questions, each with a warning",
                 "[ctl][trace]") {
  const InBerlin zone;
  words.at = "2026-10-25 02:30:00";
  const auto asked = read_question(words, at_second(0));
  REQUIRE(asked);
  REQUIRE(asked->size() == 2);
  CHECK((*asked)[0].question.from == UnixMs(std::chrono::milliseconds(1'792'888'200'000)));  // 00:30Z
  CHECK((*asked)[1].question.from == UnixMs(std::chrono::milliseconds(1'792'891'800'000)));  // 01:30Z
  CHECK((*asked)[1].question.until == UnixMs(std::chrono::milliseconds(1'792'891'800'999)));
  CHECK((*asked)[0].warning ==
        "the clocks showed '2026-10-25 02:30:00' twice: this is 2026-10-25 02:30:00.000 CEST");
  CHECK((*asked)[1].warning ==
        "the clocks showed '2026-10-25 02:30:00' twice: this is 2026-10-25 02:30:00.000 CET");
  words.at.clear();
  words.since = "2026-10-25 02:30:00";
  words.until = "2026-10-25 02:30:00";
  const auto range = read_question(words, at_second(0));
  REQUIRE(range);
  REQUIRE(range->size() == 1);
  CHECK(range->front().question.until - range->front().question.from == std::chrono::hours(1));
  CHECK(range->front().warning ==
        "the clocks showed '2026-10-25 02:30:00' twice: from the first on; "
        "the clocks showed '2026-10-25 02:30:00' twice: to the second");
}

TEST_CASE_METHOD(Asking, "the zone is told with the time", "[ctl][trace]") {
  CHECK(question_time_text(sample_question()) ==
        "2026-11-21 12:20:30.000 UTC, give or take 5s, zone UTC (UTC+00:00)");
}

using namespace testing;  // NOLINT: the tests' own language

struct Listed : InUtc {
  static std::vector<std::string> lines_of(const std::string& csv) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < csv.size();) {
      const std::size_t end = csv.find('\n', at);
      lines.push_back(csv.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  }
  static TraceList read(std::string_view csv) {
    auto list = read_trace_list(csv, {}, at_second(60));
    REQUIRE(list);
    return std::move(*list);
  }
  static std::string refusal(std::string_view csv) {
    const auto list = read_trace_list(csv, {}, at_second(0));
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
  CHECK(list.questions[0].asked.at(0).question.nat_port == 40123);
  CHECK(list.questions[0].asked.at(0).question.from == at_second(30));
  CHECK(list.questions[1].asked.at(0).question.nat_ip.to_string() == "2001:db8::7");
  CHECK(list.questions[1].asked.at(0).question.protocol == 17);
  CHECK(list.questions[1].asked.at(0).question.pub_port == 53);
  CHECK(list.questions[1].line == 2);
}

TEST_CASE_METHOD(Listed, "a head names the columns in any order, and others go along", "[ctl][trace]") {
  const TraceList list =
      read("\xef\xbb\xbftime,ticket,nat\n\n\"2026-11-21 12:20:30\",\"T,1\",203.0.113.7:40123\n");
  REQUIRE(list.questions.size() == 1);
  CHECK(list.questions[0].wrong.empty());
  CHECK(list.questions[0].line == 3);
  CHECK(list.questions[0].cells[1] == "T,1");
  CHECK(list.questions[0].asked.at(0).question.nat_port == 40123);
}

TEST_CASE_METHOD(Listed, "a head that cannot be right is refused", "[ctl][trace]") {
  CHECK(refusal("ticket,nat_ip\n1,203.0.113.7\n")
            .find("not both nat_ip (or nat, Source IP, IP ...) and time") != std::string::npos);
  CHECK(refusal("nat_ip,NAT IP,time\n").find("'nat_ip' and 'NAT IP' of the first line both say nat_ip") !=
        std::string::npos);
  CHECK(refusal("203.0.113.7,\"40123,now\n").find("is not CSV") != std::string::npos);
}

std::string utf16(std::string_view ascii, bool big, bool mark) {
  std::string text;
  const auto add = [&](char high, char low) {
    text += big ? std::string{high, low} : std::string{low, high};
  };
  if (mark) add('\xfe', '\xff');
  for (const char c : ascii) add('\0', c);
  return text;
}

TEST_CASE_METHOD(Listed, "a list is read as spreadsheets save it", "[ctl][trace]") {
  const std::string commas = "Ticket,Source IP,Port,Timestamp\nT1,203.0.113.7,40123,2026-11-21 12:20:30\n";
  std::string semicolons = commas;
  std::replace(semicolons.begin(), semicolons.end(), ',', ';');
  std::string tabs = commas;
  std::replace(tabs.begin(), tabs.end(), ',', '\t');
  for (const std::string& text :
       {commas, semicolons, tabs, "sep=;\r\n" + semicolons, "\xef\xbb\xbf" + semicolons,
        utf16(tabs, false, true), utf16(semicolons, true, true), utf16(commas, false, false),
        utf16(commas, true, false)}) {
    CAPTURE(text);
    const TraceList list = read(text);
    REQUIRE(list.questions.size() == 1);
    CHECK(list.questions[0].wrong == "");
    CHECK(list.questions[0].cells[0] == "T1");
    CHECK(list.questions[0].asked.at(0).question.nat_port == 40123);
    CHECK(list.questions[0].asked.at(0).question.from == at_second(30));
  }
  TraceResult result;
  result.answers.resize(1);
  const std::vector<std::string> lines = lines_of(trace_list_csv(read(semicolons), result));
  CHECK(lines[0].starts_with("Ticket;Source IP;Port;Timestamp;verdict;rank;"));
  CHECK(lines[1].starts_with("T1;203.0.113.7;40123;2026-11-21 12:20:30;no session;"));
  CHECK(refusal(utf16("nat", true, true) + "x").find("broken at byte 9") != std::string::npos);
}

TEST_CASE_METHOD(Listed,
                 "heads are known by their usual names, and rows that are blank or filled up are no mistake",
                 "[ctl][trace]") {
  const TraceList list = read(
      "DATE,Time,TZ,src_ip,SRC PORT,PROTO,Destination IP,Dst-Port,Note\n"
      ",,,,,,,,\n"
      "\n"
      "21.11.2026,13:20:30,CET,203.0.113.7,40123,UDP,198.51.100.9,53,x,,,\n");
  REQUIRE(list.questions.size() == 1);
  CHECK(list.questions[0].wrong == "");
  CHECK(list.questions[0].line == 4);
  const TraceQuestion& question = list.questions[0].asked.at(0).question;
  CHECK(question.from == at_second(30));
  CHECK(question.protocol == 17);
  CHECK(question.pub_ip->to_string() == "198.51.100.9");
  CHECK(question.pub_port == 53);
  // The answer of a list can be asked again: its own names go before others.
  CHECK(read("nat_ip,nat_port,time,address\n203.0.113.7,1,2026-11-21 12:20:30,here\n").questions[0].wrong ==
        "");
}

TEST_CASE_METHOD(Listed, "what is wrong in a row is told with its column", "[ctl][trace]") {
  const TraceList list = read(
      "IP,Port,When\n203.0.113.700,1,now\n203.0.113.7,99999,now\n203.0.113.7,1,03/04/2026 "
      "12:00\n203.0.113.7,1,\n");
  REQUIRE(list.questions.size() == 4);
  CHECK(list.questions[0].wrong.starts_with("column 1 (IP): '203.0.113.700'"));
  CHECK(list.questions[1].wrong.starts_with("column 2 (Port): '99999' is not a port"));
  CHECK(list.questions[2].wrong.starts_with(
      "column 3 (When): '03/04/2026 12:00' is no time: which is the month?"));
  CHECK(list.questions[3].wrong.starts_with("column 3 (When): at what time?"));
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
  result.answers[0].more = 7;
  const std::vector<std::string> lines = lines_of(trace_list_csv(list, result));
  REQUIRE(lines.size() == 5);
  CHECK(lines[0] ==
        "nat_ip,nat_port,time,protocol,pub_ip,pub_port,verdict,rank,pri_ip,pri_port,answer_protocol,answer_"
        "nat_port,peer,vpc_id,zone,instance,netns,session_start,first_seen,last_seen,why,sure,against,more,"
        "warnings");
  CHECK(lines[1].starts_with("nowhere,1,now,,,,bad question,,"));
  CHECK(lines[2].starts_with(
      "203.0.113.7,40123,2026-11-21T12:20:30Z,,,,found,1,10.0.0.5,51234,tcp,40123,[2001:db8::9]:443,blue,,gw-"
      "1,,2026-11-21T12:19:30.000Z,2026-11-21T12:19:30.000Z,2026-11-21T12:21:00.000Z,it moved traffic in "
      "this "
      "window,the likeliest of 9 sessions that were found,a gap of the log overlaps this time: sessions may "
      "be "
      "missing,7,"));
  CHECK(lines[2].find("overrun, 1,200 events lost") != std::string::npos);
  CHECK(lines[3].find("found,2,") != std::string::npos);

  const auto json = nlohmann::json::parse(trace_list_json(list, result));
  REQUIRE(json.size() == 3);
  CHECK(json[0]["verdict"] == "bad question");
  CHECK(json[0]["error"] == list.questions[0].wrong);
  CHECK(json[0]["line"] == 1);
  CHECK(json[0]["columns"]["nat_ip"] == "nowhere");
  CHECK(json[1]["verdict"] == "found");
  CHECK(json[1]["more"] == 7);
  CHECK(json[2]["error"] == "7 values for 6 columns");
}

TEST_CASE_METHOD(Listed, "two customers with one private address are told apart by zone and namespace",
                 "[ctl][trace]") {
  const TraceList list = read("203.0.113.7,40123,now\n");
  static const Origin blue{"gw-1", "blue"};
  TraceResult result;
  result.answers.resize(1);
  result.answers[0].verdict = TraceVerdict::kFound;
  result.answers[0].candidates = {sample_candidate(), sample_candidate()};
  result.answers[0].candidates[0].record.zone = 7;
  result.answers[0].candidates[0].record.origin = &blue;
  result.answers[0].candidates[1].record.session_start.reset();
  const std::vector<std::string> lines = lines_of(trace_list_csv(list, result));
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].find(",blue,7,gw-1,blue,2026-11-21T12:19:30.000Z,") != std::string::npos);
  CHECK(lines[2].find(",blue,,gw-1,,unknown,2026-11-21T12:19:30.000Z,") != std::string::npos);
  const std::string text = trace_text({sample_question(), ""}, result.answers[0], {}, /*colours=*/false);
  CHECK(text.find(
            "10.0.0.5, port 51234; vpc blue, zone 7, instance gw-1, network\n            namespace blue\n") !=
        std::string::npos);
  CHECK(text.find("unknown, first record 2026-11-21 12:19:30.000 UTC") != std::string::npos);
}

TEST_CASE_METHOD(Listed, "a time that the clocks showed twice has both answers, each with its warning",
                 "[ctl][trace]") {
  const InBerlin zone;
  const TraceList list = read(
      "ticket,nat,time\nT1,203.0.113.7:40123,2026-10-25 02:30:00\n"
      "T2,203.0.113.7:40123,2026-11-22 02:30:00\n");
  REQUIRE(list.questions.size() == 2);
  CHECK(list.questions[1].wrong.find("is still to come") != std::string::npos);
  REQUIRE(questions_of(list).size() == 2);
  TraceResult result;
  result.answers.resize(2);
  result.answers[0].verdict = TraceVerdict::kFound;
  result.answers[0].candidates = {sample_candidate()};
  result.answers[1] = result.answers[0];
  result.answers[1].candidates[0].record.pri_ip = sample_record().pub_ip;
  const std::vector<std::string> lines = lines_of(trace_list_csv(list, result));
  REQUIRE(lines.size() == 4);
  CHECK(lines[1].starts_with("T1,203.0.113.7:40123,2026-10-25 02:30:00,found,1,10.0.0.5,"));
  CHECK(lines[1].ends_with("twice: this is 2026-10-25 02:30:00.000 CEST"));
  CHECK(lines[2].starts_with("T1,203.0.113.7:40123,2026-10-25 02:30:00,found,1,2001:db8::9,"));
  CHECK(lines[2].ends_with("twice: this is 2026-10-25 02:30:00.000 CET"));
  CHECK(lines[3].starts_with("T2,203.0.113.7:40123,2026-11-22 02:30:00,bad question,"));
  const auto json = nlohmann::json::parse(trace_list_json(list, result));
  REQUIRE(json.size() == 3);
  CHECK(json[0]["columns"]["ticket"] == "T1");
  CHECK(json[1]["columns"]["ticket"] == "T1");
  CHECK(json[1]["question"]["from"] == "2026-10-25T02:30:00.000+01:00");
  CHECK(json[1]["warning"] == list.questions[0].asked[1].warning);
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

using namespace testing;  // NOLINT: the tests' own language

struct Told : InUtc {
  Told() {
    ledger.records = 10;
    ledger.oldest_start = at_second(-100);
    ledger.newest_end = at_second(100);
  }
  TraceAnswer answer;
  LedgerSpan ledger;
};

TEST_CASE_METHOD(Told, "a candidate is told with its host, its times and what speaks for it",
                 "[ctl][trace]") {
  answer.verdict = TraceVerdict::kFound;
  answer.candidates = {sample_candidate()};
  CHECK(trace_text({sample_question(), ""}, answer, ledger, /*colours=*/false)
            .find("How sure    the only session with a record of this time, for which the log is\n"
                  "            complete: others, if they were open, were silent\n") != std::string::npos);
  answer.silent_known = true;
  CHECK(trace_text({sample_question(), ""}, answer, ledger, /*colours=*/false) ==
        "Asked       203.0.113.7:40123 tcp\n"
        "at          2026-11-21 12:20:30.000 UTC, give or take 5s, zone UTC (UTC+00:00)\n"
        "Who         10.0.0.5, port 51234; vpc blue, instance gw-1\n"
        "When        2026-11-21 12:19:30.000 UTC to 2026-11-21 12:21:00.000 UTC\n"
        "How sure    the only session: the log is complete for this time, and has no\n"
        "            other\n"
        "Why         it moved traffic in this window, out / in: 1.0 KiB / 5.0 MiB\n"
        "\n"
        "1.          tcp 10.0.0.5:51234 as 203.0.113.7:40123, with [2001:db8::9]:443\n"
        "            2026-11-21 12:19:30.000 UTC to\n"
        "            2026-11-21 12:21:00.000 UTC; out / in: 2.0 KiB / 6.0 MiB\n"
        "            it moved traffic in this window; vpc blue, instance gw-1\n");
  answer.candidates[0].total.whole = false;
  CHECK(trace_text({sample_question(), ""}, answer, ledger, false).find("at least 2.0 KiB / 6.0 MiB\n") !=
        std::string::npos);
}

TEST_CASE_METHOD(Told, "sessions with other peers only are no answer to who spoke with this one",
                 "[ctl][trace]") {
  answer.verdict = TraceVerdict::kFound;
  answer.candidates = {sample_candidate()};
  answer.candidates[0].pub_differs = answer.peer_differs = true;
  CHECK(trace_text({sample_question(), ""}, answer, ledger, false)
            .find("\nHow sure    no session with this peer was found; these are with others\n") !=
        std::string::npos);
  const auto json = nlohmann::json::parse(trace_json({sample_question(), ""}, answer, ledger));
  CHECK(json["verdict"] == "other peer");
  CHECK(json["candidates"][0]["peer_differs"] == true);
}

TEST_CASE_METHOD(Told, "that there was none is told with what that means", "[ctl][trace]") {
  const auto told = [&](TraceVerdict verdict) {
    answer.verdict = verdict;
    return summary_of(sample_question(), answer, ledger);
  };
  CHECK(told(TraceVerdict::kNoSession).sure ==
        "no such session: the log is complete for this time, and has none");
  CHECK(told(TraceVerdict::kNoSession).against.empty());
  CHECK(told(TraceVerdict::kUncertain).sure.find("not complete for this time") != std::string::npos);
  answer.missing = "all is recorded until noon";
  CHECK(told(TraceVerdict::kNotCovered).sure ==
        "no such session was found, and it is not known that there was none");
  CHECK(told(TraceVerdict::kNotCovered).against ==
        std::vector<std::string>{"it is not proved that all is there: all is recorded until noon"});
}

TEST_CASE_METHOD(Told,
                 "an address that the log never had is told so, and only where all of it was looked through",
                 "[ctl][trace]") {
  const auto against = [&] { return joined(summary_of(sample_question(), answer, ledger).against); };
  CHECK(against() == "");
  answer.address_seen = true;
  CHECK(against() == "");
  answer.address_seen = false;
  CHECK(against() ==
        "203.0.113.7 is never in the log, which is from 2026-11-21 12:18:20.000 UTC to 2026-11-21 "
        "12:21:40.000 UTC: "
        "perhaps it is not this box's");
}

TEST_CASE_METHOD(Told, "what may make an answer wrong is told with it, in every form", "[ctl][trace]") {
  answer.verdict = TraceVerdict::kFound;
  answer.candidates = {sample_candidate(), sample_candidate()};
  answer.candidates[1].record.pri_ip = sample_record().pub_ip;
  answer.candidates[0].match = TimeMatch::kNear;
  answer.candidates[0].distance = std::chrono::seconds(2);
  answer.gaps = {sample_gap()};
  answer.missing = "it was not logged then";
  TraceQuestion question = sample_question();
  question.nat_port.reset();
  const TraceSummary summary = summary_of(question, answer, ledger);
  CHECK(summary.sure == "the likeliest of 2 sessions that were found");
  CHECK(summary.against ==
        std::vector<std::string>{"1 of the sessions is of another host",
                                 "it was not there at this time: a clock may be wrong",
                                 "the question names no port: others used this address, too",
                                 "it is not proved that all is there: it was not logged then",
                                 "a gap of the log overlaps this time: sessions may be missing"});
  const auto json = nlohmann::json::parse(trace_json({question, ""}, answer, ledger));
  CHECK(json["summary"]["sure"] == summary.sure);
  CHECK(json["summary"]["against"] == summary.against);
  const std::string text = trace_text({question, ""}, answer, ledger, false);
  for (const std::string& line : Listed::lines_of(text)) CHECK(line.size() <= 80);
}

TEST_CASE_METHOD(Told, "JSON has all that is known of a candidate", "[ctl][trace]") {
  answer.verdict = TraceVerdict::kFound;
  answer.candidates = {sample_candidate()};
  answer.gaps = {sample_gap()};
  const auto json = nlohmann::json::parse(trace_json({sample_question(), ""}, answer, ledger));
  CHECK(json["verdict"] == "found");
  CHECK(json["question"]["from"] == "2026-11-21T12:20:30.000Z");
  const auto& candidate = json["candidates"][0];
  CHECK(candidate["pri_ip"] == "10.0.0.5");
  CHECK(candidate["session_id"] == "0000000000000abc");
  CHECK(candidate["record"]["bytes_from_vpc"] == 1024);
  CHECK(candidate["record"]["pkts_from_vpc"].is_null());
  CHECK(candidate["total"]["bytes_from_vpc"] == 2048);
  CHECK(candidate["total"]["whole"] == true);
  CHECK(candidate["session_start"] == "2026-11-21T12:19:30.000Z");
  CHECK(candidate["reasons"][0] == "it moved traffic in this window");
  CHECK(json["gaps"][0]["events_lost"] == 1200);
}

struct Said : testing::InUtc {
  LogOptions options;
};

TEST_CASE_METHOD(Said, "a range ends now and begins as long before as its command wants", "[ctl][options]") {
  const auto time = read_times("top", options, std::chrono::hours(1));
  REQUIRE(time);
  CHECK(time->until - time->from == std::chrono::hours(1));
  CHECK(std::chrono::abs(time->until - now_ms()) < std::chrono::minutes(1));
}

TEST_CASE_METHOD(Said, "the beginning counts from the end that was given", "[ctl][options]") {
  options.until = "2026-11-21 14:00";
  const auto time = read_times("top", options, std::chrono::hours(1));
  REQUIRE(time);
  CHECK(range_text(*time) ==
        "2026-11-21 13:00:00.000 UTC to 2026-11-21 14:00:00.000 UTC, zone UTC (UTC+00:00)");
  options.since = "2026-11-21 14:00";
  const auto empty = read_times("top", options, std::chrono::hours(1));
  REQUIRE_FALSE(empty);
  CHECK(empty.error().kind == ErrorKind::kUsage);
}

TEST_CASE_METHOD(Said, "of a ledger at rest the end is asked about where no time was given",
                 "[ctl][options]") {
  testing::TrafficDice dice{3};
  testing::QueryLedger ledger;
  ledger.fill(dice.traffic(50, testing::at_minute(0), testing::at_minute(10), 0), 20, 2);
  const UnixMs end = ledger.view().span().newest_end;
  const std::chrono::milliseconds hour = std::chrono::hours(1);
  const AskedTime rest = within_ledger({end + hour * 2, end + hour * 3, true}, ledger.view());
  CHECK(rest.until == end + std::chrono::milliseconds(1));
  CHECK(rest.until - rest.from == hour);
  const AskedTime alive = within_ledger({end - hour, end, true}, ledger.view());
  CHECK(alive.until == end);
  const AskedTime said = within_ledger({end + hour * 2, end + hour * 3, false}, ledger.view());
  CHECK(said.until == end + hour * 3);
}

TEST_CASE_METHOD(Said, "fields are named one by one or with commas between them", "[ctl][options]") {
  const auto fields = read_fields("--by", {"pri_ip,pub_port"}, LogOptions());
  REQUIRE(fields);
  CHECK(*fields == std::vector<Field>{Field::kPriIp, Field::kPubPort});
  for (const char* const wrong : {"", "pri_ip,", "pri_ip,,pub_ip", "host"}) {
    const auto refused = read_fields("--by", {wrong}, LogOptions());
    INFO(wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.starts_with("--by: "));
  }
}

TEST_CASE_METHOD(Said, "an answer has one shape", "[ctl][options]") {
  Global global;
  CHECK(*shape_of(global, options) == Shape::kTable);
  options.csv = true;
  CHECK(*shape_of(global, options) == Shape::kCsv);
  global.json = true;
  CHECK_FALSE(shape_of(global, options));
  options.csv = false;
  CHECK(*shape_of(global, options) == Shape::kJson);
}

TEST_CASE("fields of flow logs have names of their own and belong to --log flow", "[ctl][options]") {
  LogOptions flows;
  flows.log = "flow";
  const auto fields = read_fields("--by", {"interface,srcaddr", "packets"}, flows);
  REQUIRE(fields);
  CHECK(*fields == std::vector<Field>{Field::kInterface, Field::kPriIp, Field::kPktsFromVpc});
  CHECK(shown_name(Field::kPriIp, flows) == "srcaddr");
  const auto of_sessions = read_fields("--by", {"pri_ip"}, flows);
  REQUIRE_FALSE(of_sessions);
  CHECK(of_sessions.error().message.find("srcaddr") != std::string::npos);
  const auto without = read_fields("--by", {"interface"}, LogOptions());
  REQUIRE_FALSE(without);
  CHECK(without.error().message.find("--log flow") != std::string::npos);

  flows.where = {"dstport=443,80", "srcaddr!=10.0.0.0/8", "packets>=5"};
  const auto tests = read_where(flows);
  REQUIRE(tests);
  REQUIRE(tests->size() == 3);
  CHECK((*tests)[0].field == Field::kPubPort);
  CHECK((*tests)[1].field == Field::kPriIp);
  CHECK((*tests)[1].excluded);
  CHECK((*tests)[2].field == Field::kPktsFromVpc);
  flows.where = {"nat_ip=10.0.0.1"};
  CHECK_FALSE(read_where(flows));
  for (const char* const refused : {"srcaddr!=x", "srcaddr<10.0.0.0/8", "srcaddr ~ x", "start_time=1"}) {
    flows.where = {refused};
    const auto told = read_where(flows);
    REQUIRE_FALSE(told);
    CAPTURE(told.error().message);
    CHECK(told.error().message.find(refused) != std::string::npos);
    CHECK(told.error().message.find("--where: ") == 0);
  }
  flows.where = {"srcaddr<10.0.0.0/8"};
  CHECK(read_where(flows).error().message.find("srcaddr=10.0.0.0/8 is what is in it") != std::string::npos);
}

}  // namespace
}  // namespace natsession::ctl
