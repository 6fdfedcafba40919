#include "query/trace.h"

#include <filesystem>
#include <set>

#include <catch2/catch.hpp>

#include "query/query_dice.h"

namespace natsession::testing {
namespace {

using Ids = std::set<std::uint64_t>;

Ids ids_of(const TraceAnswer& answer) {
  Ids ids;
  for (const TraceCandidate& candidate : answer.candidates) ids.insert(candidate.record.session_id);
  return ids;
}

// Sessions that were open at some time in [from, until], as far as all records tell.
Ids slow_trace(const std::vector<SessionRecord>& all, const TraceQuestion& question) {
  Ids ids;
  for (const SessionRecord& record : all) {
    if (record.event == RecordEvent::kGap || record.nat_ip != question.nat_ip) continue;
    if (question.nat_port && record.nat_port != *question.nat_port) continue;
    if (question.protocol && record.protocol != *question.protocol) continue;
    if (record.start_time <= question.until + question.slack &&
        record.end_time >= question.from - question.slack) {
      ids.insert(record.session_id);
    }
  }
  return ids;
}

TraceQuestion question_about(const SessionRecord& record, UnixMs time) {
  TraceQuestion question;
  question.nat_ip = record.nat_ip;
  question.nat_port = record.nat_port;
  question.from = question.until = time;
  return question;
}

struct TraceFixture {
  TraceFixture() {
    auto records = dice.traffic(4000, at_minute(0), at_minute(240), 0);
    records.push_back(dice.gap(at_minute(400), at_minute(401)));
    ledger.fill(records, 200, 4);
    ledger.prove(at_minute(-10), at_minute(5000));
  }
  const SessionRecord& any_record() {
    while (true) {
      const SessionRecord& record = ledger.all[dice.pick(ledger.all.size())];
      if (record.event != RecordEvent::kGap) return record;
    }
  }
  TraceResult ask(const std::vector<TraceQuestion>& questions, const TraceOptions& options = {}) {
    auto result = trace(ledger.view(), questions, options, with_threads(2));
    REQUIRE(result);
    return std::move(*result);
  }
  TrafficDice dice{51};
  QueryLedger ledger;
};

TEST_CASE_METHOD(TraceFixture, "every session with traffic at the time is a candidate", "[query][trace]") {
  std::vector<TraceQuestion> questions;
  for (int i = 0; i < rounds(1000); ++i) {
    const SessionRecord& record = any_record();
    TraceQuestion question =
        question_about(record, record.end_time - std::chrono::milliseconds(dice.pick(20'000)));
    if (dice.one_in(3)) question.protocol = record.protocol;
    if (dice.one_in(5)) question.until = question.from + std::chrono::milliseconds(dice.pick(300'000));
    if (dice.one_in(20)) question.nat_port.reset();
    question.slack = std::chrono::milliseconds(dice.pick(10'000));
    questions.push_back(question);
  }
  TraceOptions options;
  options.max_candidates = 1000;
  const TraceResult together = ask(questions, options);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Ids expected = slow_trace(ledger.all, questions[i]);
    const Ids found = ids_of(together.answers[i]);
    // What is found beyond was open, or began soon, and was silent at the time; each of them says so.
    REQUIRE(std::includes(found.begin(), found.end(), expected.begin(), expected.end()));
    for (const TraceCandidate& candidate : together.answers[i].candidates) {
      if (expected.count(candidate.record.session_id) > 0) continue;
      REQUIRE(candidate.match != TimeMatch::kTraffic);
      REQUIRE((candidate.may_have_been || candidate.first_seen <= questions[i].until + questions[i].slack));
    }
    const bool any = !expected.empty() || !found.empty();
    REQUIRE((together.answers[i].verdict == TraceVerdict::kFound) == any);
    if (i % 20 == 0) {
      const TraceResult alone = ask({questions[i]}, options);
      REQUIRE(ids_of(alone.answers[0]) == found);
    }
  }
}

TEST_CASE("candidates come best first, with what speaks for each", "[query][trace]") {
  TrafficDice dice(52);
  QueryLedger ledger;
  const auto make = [&](const std::string& host, const std::string& peer, int from_s, int until_s) {
    SessionRecord record = dice.session(at_minute(0)).front();
    record.pri_ip = ip(host);
    record.pub_ip = ip(peer);
    record.pub_port = 443;
    record.nat_ip = ip("203.0.113.7");
    record.nat_port = 40123;
    record.protocol = 6;
    record.has_orig_dst = false;
    record.session_start = record.start_time = at_ms(kDayBegin + from_s * 1000);
    record.end_time = at_ms(kDayBegin + until_s * 1000);
    record.event = RecordEvent::kEnd;
    record.seq = 0;
    record.session_id = derive_session_id(record);
    return record;
  };
  SessionRecord silent = make("10.0.0.4", "198.51.100.9", 500, 650);
  silent.session_start = at_ms(kDayBegin + 10'000);  // was silent from 10 s to 500 s
  silent.session_id = derive_session_id(silent);
  const std::vector<SessionRecord> records = {
      make("10.0.0.1", "198.51.100.1", 100, 296), make("10.0.0.2", "198.51.100.2", 250, 350),
      make("10.0.0.3", "198.51.100.3", 303, 400), silent, make("10.0.0.5", "198.51.100.5", 320, 400)};
  ledger.frame(records);
  ledger.frame(std::vector<SessionRecord>{make("10.0.0.6", "198.51.100.6", 7000, 7100)});
  TraceQuestion question;
  question.nat_ip = ip("203.0.113.7");
  question.nat_port = 40123;
  question.from = question.until = at_ms(kDayBegin + 300'000);
  const auto result = trace(ledger.view(), {question}, {}, with_threads(1));
  REQUIRE(result);
  const TraceAnswer& answer = result->answers[0];
  CHECK(answer.verdict == TraceVerdict::kFound);
  REQUIRE(answer.candidates.size() == 4);
  CHECK(answer.candidates[0].record.pri_ip == ip("10.0.0.2"));
  CHECK(answer.candidates[0].match == TimeMatch::kTraffic);
  CHECK(answer.candidates[1].record.pri_ip == ip("10.0.0.4"));
  CHECK(answer.candidates[1].match == TimeMatch::kOpen);
  CHECK(answer.candidates[2].record.pri_ip == ip("10.0.0.3"));
  CHECK(answer.candidates[2].reasons() == std::vector<std::string>{"it began 3.0 s later"});
  CHECK(answer.candidates[3].record.pri_ip == ip("10.0.0.1"));
  CHECK(answer.candidates[3].reasons() == std::vector<std::string>{"it ended 4.0 s before"});

  question.pub_ip = ip("198.51.100.3");
  const auto with_peer = trace(ledger.view(), {question}, {}, with_threads(1));
  REQUIRE(with_peer->answers[0].candidates.size() == 1);
  CHECK(with_peer->answers[0].candidates[0].pub_ip_matches);

  question.pub_ip = ip("192.0.2.1");
  const auto other_peer = trace(ledger.view(), {question}, {}, with_threads(1));
  REQUIRE(other_peer->answers[0].candidates.size() == 4);
  CHECK(other_peer->answers[0].candidates[0].pub_differs);
  CHECK(other_peer->answers[0].peer_differs);
  CHECK_FALSE(other_peer->answers[0].found());
  CHECK(other_peer->answers[0].word() == "other peer");
  CHECK(with_peer->answers[0].found());
  CHECK(with_peer->answers[0].word() == "found");
}

const Origin kGateway{"nat-1", ""};

// A record of a TCP session that 203.0.113.7:40123 stood for.
SessionRecord on_shared_port(const std::string& host, UnixMs begin, UnixMs from, UnixMs until,
                             std::uint64_t bytes, TcpState state) {
  SessionRecord record = session_between(6, {host, 5000}, {"198.51.100.9", 443}, {"203.0.113.7", 40123});
  record.origin = &kGateway;
  record.session_start = begin;
  record.start_time = from;
  record.end_time = until;
  record.event = RecordEvent::kInterim;
  record.tcp_state = state;
  record.bytes_from_vpc = Count(bytes);
  record.pkts_from_vpc = Count(bytes / 1000);
  record.bytes_from_pub = record.pkts_from_pub = Count(0);
  record.session_id = derive_session_id(record);
  return record;
}

TraceAnswer trace_shared_port(const QueryLedger& ledger, UnixMs from, UnixMs until) {
  TraceQuestion question;
  question.nat_ip = ip("203.0.113.7");
  question.nat_port = 40123;
  question.from = from;
  question.until = until;
  auto result = trace(ledger.view(), {question}, {}, with_threads(2));
  REQUIRE(result);
  return std::move(result->answers[0]);
}

std::vector<std::string> hosts_of(const TraceAnswer& answer) {
  std::vector<std::string> hosts;
  for (const TraceCandidate& candidate : answer.candidates)
    hosts.push_back(candidate.record.pri_ip.to_string());
  return hosts;
}

TEST_CASE("of the hosts that shared a port the one that moved traffic at the time comes first",
          "[query][trace]") {
  QueryLedger ledger;
  const std::vector<SessionRecord> records{
      on_shared_port("10.0.0.3", at_minute(40), at_minute(40), at_minute(50), 7'000, TcpState::kTimeWait),
      on_shared_port("10.0.0.2", at_minute(101), at_minute(101), at_minute(108), 489 << 10,
                     TcpState::kEstablished),
      on_shared_port("10.0.0.1", at_minute(35), at_minute(100), at_minute(110), 0, TcpState::kClose),
      on_shared_port("10.0.0.4", at_minute(36), at_minute(100), at_minute(110), 0, TcpState::kEstablished),
      on_shared_port("10.0.0.5", at_minute(102), at_minute(102), at_minute(110), 0, TcpState::kEstablished),
      on_shared_port("10.0.0.3", at_minute(170), at_minute(170), at_minute(180), 9'000, TcpState::kTimeWait)};
  ledger.frame(records);
  SessionRecord unknown = records[4];
  unknown.pri_ip = ip("10.0.0.6");
  unknown.bytes_from_vpc = unknown.pkts_from_vpc = unknown.bytes_from_pub = unknown.pkts_from_pub = Count();
  unknown.session_id = derive_session_id(unknown);
  ledger.frame(std::vector<SessionRecord>{unknown});

  const TraceAnswer answer = trace_shared_port(ledger, at_minute(105), at_minute(105));
  const auto hosts = hosts_of(answer);
  REQUIRE(hosts.size() == 5);
  CHECK(hosts.front() == "10.0.0.2");
  CHECK(hosts[1] == "10.0.0.6");
  CHECK(hosts.back() == "10.0.0.1");
  CHECK(answer.candidates.front().reasons() == std::vector<std::string>{"it moved traffic in this window"});
  CHECK(answer.candidates[1].reasons() ==
        std::vector<std::string>{"it had a record in this window, its counters are unknown"});
  CHECK(answer.candidates[2].reasons() ==
        std::vector<std::string>{"it was open at this time, and moved nothing in this window"});
  CHECK(answer.candidates.back().reasons() ==
        std::vector<std::string>{"it had closed before (CLOSE), and moved nothing in this window"});
}

TEST_CASE("of hosts with traffic the one whose record has more of the time comes first, then more bytes",
          "[query][trace]") {
  QueryLedger ledger;
  const auto busy = [](const std::string& host, int from, int until, std::uint64_t bytes) {
    return on_shared_port(host, at_minute(from), at_minute(from), at_minute(until), bytes,
                          TcpState::kEstablished);
  };
  ledger.frame(std::vector<SessionRecord>{busy("10.0.0.1", 100, 103, 9'000),
                                          busy("10.0.0.2", 100, 110, 2'000),
                                          busy("10.0.0.3", 100, 110, 3'000)});
  CHECK(hosts_of(trace_shared_port(ledger, at_minute(102), at_minute(109))) ==
        std::vector<std::string>{"10.0.0.3", "10.0.0.2", "10.0.0.1"});
  CHECK(hosts_of(trace_shared_port(ledger, at_minute(102), at_minute(102))).front() == "10.0.0.1");
}

TEST_CASE("beginning, end and sums of a session are those of all its records", "[query][trace]") {
  // The last is behind a day of silence, as a TCP session may have it.
  const auto last = GENERATE(90, 40 * 60);
  QueryLedger ledger;
  std::vector<SessionRecord> records;
  for (const int window : {0, 10, 20, 60, last}) {
    records.push_back(on_shared_port("10.0.0.1", at_minute(2), at_minute(std::max(window, 2)),
                                     at_minute(window + 10), 1'000, TcpState::kEstablished));
    records.back().seq = static_cast<std::uint32_t>(records.size() - 1);
  }
  records.back().event = RecordEvent::kEnd;
  for (const SessionRecord& record : records) ledger.frame(std::vector<SessionRecord>{record});
  const TraceAnswer answer = trace_shared_port(ledger, at_minute(15), at_minute(15));
  REQUIRE(answer.candidates.size() == 1);
  const TraceCandidate& candidate = answer.candidates[0];
  CHECK(candidate.record.seq == 1);
  CHECK(candidate.first_seen == at_minute(2));
  CHECK(candidate.last_seen == records.back().end_time);
  CHECK(candidate.ended);
  CHECK(candidate.total.records == 5);
  CHECK(candidate.total.whole);
  CHECK(candidate.total.bytes_from_vpc == Count(5'000));
  CHECK(candidate.total.pkts_from_pub == Count(0));
}

TEST_CASE("sums say when records of the session are missing", "[query][trace]") {
  QueryLedger ledger;
  SessionRecord record =
      on_shared_port("10.0.0.1", at_minute(2), at_minute(10), at_minute(20), 1'000, TcpState::kEstablished);
  record.seq = 1;
  ledger.frame(std::vector<SessionRecord>{record});
  const TraceAnswer answer = trace_shared_port(ledger, at_minute(15), at_minute(15));
  REQUIRE(answer.candidates.size() == 1);
  CHECK_FALSE(answer.candidates[0].total.whole);
}

TEST_CASE("a beginning or an end that no record tells is not made up", "[query][trace]") {
  QueryLedger ledger;
  SessionRecord record =
      on_shared_port("10.0.0.1", at_minute(0), at_minute(30), at_minute(40), 1'000, TcpState::kEstablished);
  record.session_start.reset();
  record.session_id = derive_session_id(record);
  ledger.frame(std::vector<SessionRecord>{record});
  ledger.frame(std::vector<SessionRecord>{
      on_shared_port("10.0.0.2", at_minute(900), at_minute(900), at_minute(901), 1, TcpState::kTimeWait)});
  const auto reasons = [&](UnixMs time) {
    const TraceAnswer answer = trace_shared_port(ledger, time, time);
    REQUIRE(answer.candidates.size() == 1);
    return answer.candidates[0].reasons();
  };
  using Reasons = std::vector<std::string>;
  CHECK(reasons(at_minute(30) - std::chrono::seconds(5)) ==
        Reasons{"it may have been open at this time, silent", "when it began is unknown"});
  CHECK(reasons(at_minute(40) + std::chrono::seconds(4)) ==
        Reasons{"its last record ends 4.0 s before", "when it began is unknown"});
}

TEST_CASE("a session whose beginning is unknown is not denied between its records", "[query][trace]") {
  std::vector<SessionRecord> records;
  for (const auto& [from, until] : {std::pair(10, 20), std::pair(60, 61)}) {
    SessionRecord record = on_shared_port("10.0.0.1", at_minute(0), at_minute(from), at_minute(until), 1'000,
                                          TcpState::kEstablished);
    record.session_start.reset();
    record.seq = static_cast<std::uint32_t>(records.size());
    record.session_id = derive_session_id(record);
    records.push_back(record);
  }
  records[1].event = RecordEvent::kEnd;
  const auto ask = [&](const std::vector<SessionRecord>& there) {
    QueryLedger ledger;
    for (const SessionRecord& record : there) ledger.frame(std::vector<SessionRecord>{record});
    ledger.prove(at_minute(0), at_minute(3'000), false);
    return trace_shared_port(ledger, at_minute(40), at_minute(40));
  };
  SECTION("where its records are there it was open") {
    const TraceAnswer answer = ask(records);
    REQUIRE(answer.candidates.size() == 1);
    CHECK(answer.candidates[0].match == TimeMatch::kOpen);
    CHECK_FALSE(answer.candidates[0].may_have_been);
  }
  SECTION("where the first one is missing it may have been") {
    const TraceAnswer answer = ask({records[1]});
    REQUIRE(answer.candidates.size() == 1);
    CHECK(answer.candidates[0].may_have_been);
    CHECK(answer.candidates[0].reasons().front() == "it may have been open at this time, silent");
  }
  SECTION("so it may before its first: while it is silent it has none") {
    records[1].seq = 0;
    const TraceAnswer answer = ask({records[1]});
    REQUIRE(answer.candidates.size() == 1);
    CHECK(answer.candidates[0].may_have_been);
  }
}

TEST_CASE("that a session is the only one is said of silent ones where they were looked for",
          "[query][trace]") {
  QueryLedger ledger;
  SessionRecord busy =
      on_shared_port("10.0.0.1", at_minute(5), at_minute(5), at_minute(6), 1'000, TcpState::kTimeWait);
  SessionRecord silent =
      on_shared_port("10.0.0.2", at_minute(0), at_minute(300), at_minute(301), 1'000, TcpState::kTimeWait);
  ledger.frame(std::vector<SessionRecord>{busy});
  ledger.frame(std::vector<SessionRecord>{silent});
  ledger.prove(at_minute(0), at_minute(3'000), false);
  const TraceAnswer of_busy = trace_shared_port(ledger, at_minute(5), at_minute(5));
  CHECK(of_busy.candidates.size() == 1);
  CHECK_FALSE(of_busy.silent_known);
  const TraceAnswer of_silent = trace_shared_port(ledger, at_minute(100), at_minute(100));
  CHECK(of_silent.candidates.size() == 1);
  CHECK(of_silent.silent_known);
}

TEST_CASE("sessions of two namespaces between the same ends are two candidates", "[query][trace]") {
  static const Origin red{"nat-1", "red"};
  static const Origin blue{"nat-1", "blue"};
  QueryLedger ledger;
  for (const Origin* const origin : {&red, &blue}) {
    SessionRecord record =
        on_shared_port("10.0.0.1", at_minute(0), at_minute(0), at_minute(10), 1'000, TcpState::kEstablished);
    record.origin = origin;
    record.event = RecordEvent::kEnd;
    ledger.frame(std::vector<SessionRecord>{record});
  }
  const TraceAnswer answer = trace_shared_port(ledger, at_minute(5), at_minute(5));
  REQUIRE(answer.candidates.size() == 2);
  for (const TraceCandidate& candidate : answer.candidates) {
    CHECK(candidate.total.records == 1);
    CHECK(candidate.total.whole);
  }
}

TEST_CASE("the records of a session are one candidate", "[query][trace]") {
  TrafficDice dice(53);
  QueryLedger ledger;
  std::vector<SessionRecord> records;
  while (records.size() < 4) {
    records = dice.session(at_minute(3));
    if (!records.front().session_start) records.clear();
  }
  for (const SessionRecord& record : records) ledger.frame(std::vector<SessionRecord>{record});
  const SessionRecord& last = records.back();
  TraceQuestion question = question_about(last, at_minute(5));
  question.until = last.end_time;
  const auto result = trace(ledger.view(), {question}, {}, with_threads(1));
  REQUIRE(result);
  REQUIRE(result->answers[0].candidates.size() == 1);
  const TraceCandidate& candidate = result->answers[0].candidates[0];
  CHECK(candidate.total.records == records.size());
  CHECK(candidate.total.whole);
  CHECK(candidate.ended);
  CHECK(candidate.first_seen == at_minute(3));
  CHECK(candidate.last_seen == last.end_time);
  CHECK(candidate.record.origin->instance == last.origin->instance);
  CHECK(candidate.record.vpc_id == last.vpc_id);
}

TEST_CASE("a session that was silent at the time is found behind it", "[query][trace]") {
  TrafficDice dice(54);
  QueryLedger ledger;
  SessionRecord record = dice.session(at_minute(0)).front();
  record.nat_ip = ip("203.0.113.7");
  record.session_start = at_minute(0);
  record.start_time = at_minute(300);
  record.end_time = at_minute(301);
  record.event = RecordEvent::kEnd;
  record.session_id = derive_session_id(record);
  ledger.frame(dice.traffic(100, at_minute(0), at_minute(30)));
  ledger.frame(std::vector<SessionRecord>{record});
  const TraceQuestion question = question_about(record, at_minute(100));
  const auto found = trace(ledger.view(), {question}, {}, with_threads(1));
  REQUIRE(found->answers[0].candidates.size() == 1);
  CHECK(found->answers[0].candidates[0].match == TimeMatch::kOpen);
}

std::vector<SessionRecord> ended_by(UnixMs time, std::vector<SessionRecord> records) {
  std::erase_if(records, [&](const SessionRecord& record) { return record.end_time > time; });
  return records;
}

TEST_CASE("how long a session may be quiet until its next record is what the segments say",
          "[query][trace]") {
  const auto window = GENERATE(std::chrono::minutes(10), std::chrono::minutes(60));
  TrafficDice dice(55);
  QueryLedger ledger;
  ledger.writer.reset();
  ledger.settings.window = window;
  ledger.open();
  SessionRecord record = dice.session(at_minute(0)).front();
  record.nat_ip = ip("203.0.113.7");
  record.session_start = record.start_time = at_minute(0);
  record.end_time = at_minute(60);
  record.event = RecordEvent::kInterim;
  record.seq = 0;
  record.session_id = derive_session_id(record);
  ledger.frame(std::vector<SessionRecord>{record});
  ledger.frame(ended_by(at_minute(110), dice.traffic(300, at_minute(60), at_minute(110))));
  // It has been quiet for 50 minutes, and the daemon is not asked.
  const auto answer = trace(ledger.view(), {question_about(record, at_minute(110))}, {}, with_threads(1));
  REQUIRE(answer);
  const TraceAnswer& found = answer->answers[0];
  if (window == std::chrono::minutes(60)) {
    REQUIRE(found.verdict == TraceVerdict::kFound);
    CHECK(found.candidates[0].record.session_id == record.session_id);
    CHECK(found.candidates[0].unended);
  } else {
    CHECK(found.candidates.empty());
  }
}

TEST_CASE("none is said of a time only when each session that was open then has its record",
          "[query][trace]") {
  TrafficDice dice(56);
  QueryLedger ledger;
  ledger.writer.reset();
  ledger.settings.window = std::chrono::hours(1);
  ledger.open();
  ledger.frame(ended_by(at_minute(120), dice.traffic(300, at_minute(0), at_minute(120))));
  TraceQuestion question;
  question.nat_ip = ip("192.0.2.99");
  const auto verdict_at = [&](int minute) {
    question.from = question.until = at_minute(minute);
    return trace(ledger.view(), {question}, {}, with_threads(1))->answers[0].verdict;
  };
  CHECK(verdict_at(30) == TraceVerdict::kNotCovered);
  ledger.prove(at_minute(0), at_minute(120), /*whole=*/false);
  CHECK(verdict_at(30) == TraceVerdict::kNotCovered);
  ledger.prove(at_minute(0), at_minute(30 + 25 * 60), /*whole=*/false);
  CHECK(verdict_at(30) == TraceVerdict::kNoSession);
  CHECK(verdict_at(31) == TraceVerdict::kNotCovered);
}

TEST_CASE("a silent session with the peer that was asked for is looked for behind another's traffic",
          "[query][trace]") {
  TrafficDice dice(57);
  QueryLedger ledger;
  SessionRecord busy = dice.session(at_minute(0)).front();
  busy.nat_ip = ip("203.0.113.7");
  busy.protocol = 6;
  busy.has_orig_dst = false;
  busy.pub_ip = ip("198.51.100.1");
  busy.session_start = busy.start_time = at_minute(99);
  busy.end_time = at_minute(101);
  busy.session_id = derive_session_id(busy);
  SessionRecord silent = busy;
  silent.pub_ip = ip("198.51.100.2");
  silent.session_start = at_minute(0);
  silent.start_time = at_minute(300);
  silent.end_time = at_minute(301);
  silent.event = RecordEvent::kEnd;
  silent.session_id = derive_session_id(silent);
  ledger.frame(std::vector<SessionRecord>{busy});
  ledger.frame(std::vector<SessionRecord>{silent});
  TraceQuestion question = question_about(busy, at_minute(100));
  question.pub_ip = silent.pub_ip;
  const auto found = trace(ledger.view(), {question}, {}, with_threads(1));
  REQUIRE(found->answers[0].candidates.size() == 1);
  CHECK(found->answers[0].candidates[0].record.session_id == silent.session_id);
  CHECK(found->answers[0].candidates[0].pub_ip_matches);
}

TEST_CASE("a session that has not ended is found by its last record, and by the daemon", "[query][trace]") {
  TrafficDice dice(55);
  QueryLedger ledger;
  SessionRecord record = dice.session(at_minute(1)).front();
  record.session_start = record.start_time = at_minute(1);
  record.end_time = at_minute(10);
  record.event = RecordEvent::kInterim;
  record.session_id = derive_session_id(record);
  ledger.frame(std::vector<SessionRecord>{record});
  const TraceQuestion question = question_about(record, at_minute(14));
  const auto found = trace(ledger.view(), {question}, {}, with_threads(1));
  REQUIRE(found->answers[0].candidates.size() == 1);
  CHECK(found->answers[0].candidates[0].unended);
  CHECK_FALSE(found->answers[0].candidates[0].live);

  TraceOptions options;
  options.live_at = at_minute(15);
  SessionRecord live = record;
  live.start_time = at_minute(1);
  live.end_time = at_minute(15);
  live.session_id = 0;
  SessionRecord other = live;
  other.pri_ip = ip("10.9.9.9");
  other.pub_ip = ip("192.0.2.200");
  other.start_time = at_minute(13);
  other.session_start = at_minute(13);
  options.live = {live, other};
  const auto with_live = trace(ledger.view(), {question}, options, with_threads(1));
  REQUIRE(with_live->answers[0].candidates.size() == 2);
  for (const TraceCandidate& candidate : with_live->answers[0].candidates) {
    CHECK(candidate.live);
    CHECK(candidate.match == TimeMatch::kOpen);
  }
  CHECK(with_live->answers[0].candidates[0].record.session_id !=
        with_live->answers[0].candidates[1].record.session_id);
}

TEST_CASE("a session that is open now, and began nobody knows when, may have been there", "[query][trace]") {
  QueryLedger ledger;
  SessionRecord other =
      on_shared_port("10.0.0.9", at_minute(0), at_minute(0), at_minute(1), 1, TcpState::kTimeWait);
  other.nat_port = 1;
  ledger.frame(std::vector<SessionRecord>{other});
  ledger.prove(at_minute(0), at_minute(600), false);
  SessionRecord open = on_shared_port("10.0.0.1", at_minute(600), at_minute(600), at_minute(600), 5'000,
                                      TcpState::kEstablished);
  open.session_start.reset();
  open.session_id = 0;
  TraceOptions options;
  options.live = {open};
  options.live_at = at_minute(600);
  TraceQuestion question;
  question.nat_ip = open.nat_ip;
  question.nat_port = open.nat_port;
  question.from = question.until = at_minute(300);
  const auto result = trace(ledger.view(), {question}, options, with_threads(1));
  REQUIRE(result);
  const TraceAnswer& answer = result->answers[0];
  REQUIRE(answer.verdict == TraceVerdict::kFound);
  REQUIRE(answer.candidates.size() == 1);
  CHECK(answer.candidates[0].may_have_been);
  CHECK(
      answer.candidates[0].reasons() ==
      std::vector<std::string>{"it is open now, and may have been at this time", "when it began is unknown"});
  // It would have had a record by now.
  question.from = question.until = at_minute(600) - kLongestSilence - std::chrono::minutes(11);
  const auto earlier = trace(ledger.view(), {question}, options, with_threads(1));
  REQUIRE(earlier);
  CHECK(earlier->answers[0].candidates.empty());
}

TEST_CASE("open sessions of two namespaces are two, also between the same ends", "[query][trace]") {
  QueryLedger ledger;
  ledger.prove(at_minute(0), at_minute(600), false);
  const Origin red{"", "red"};
  const Origin blue{"", "blue"};
  SessionRecord open = on_shared_port("10.0.0.1", at_minute(500), at_minute(500), at_minute(600), 5'000,
                                      TcpState::kEstablished);
  open.session_id = 0;
  TraceOptions options;
  options.live = {open, open};
  options.live[0].origin = &red;
  options.live[1].origin = &blue;
  options.live_at = at_minute(600);
  TraceQuestion question;
  question.nat_ip = open.nat_ip;
  question.nat_port = open.nat_port;
  question.from = question.until = at_minute(550);
  const auto result = trace(ledger.view(), {question}, options, with_threads(1));
  REQUIRE(result);
  CHECK(result->answers[0].candidates.size() == 2);
}

TEST_CASE("sessions on both sides of a clock that was set back are found", "[query][trace]") {
  TrafficDice dice(58);
  QueryLedger ledger;
  ledger.fill(dice.traffic(200, at_minute(100), at_minute(160)), 50, 3);
  ledger.fill(dice.traffic(200, at_minute(80), at_minute(140)), 50, 3);
  const SegmentList view = ledger.view();
  for (const SessionRecord& record : ledger.all) {
    const auto found = trace(view, {question_about(record, record.end_time)}, {}, with_threads(1));
    REQUIRE(ids_of(found->answers[0]).count(record.session_id) == 1);
  }
}

TEST_CASE_METHOD(TraceFixture, "an address that no record has is told apart from one without a session then",
                 "[query][trace]") {
  TraceQuestion known = question_about(any_record(), at_minute(3000));
  TraceQuestion never = known;
  never.nat_ip = ip("192.0.2.200");
  const TraceResult result = ask({known, never, known});
  CHECK(result.answers[0].address_seen == true);
  CHECK(result.answers[1].address_seen == false);
  CHECK(result.answers[2].address_seen == true);
  const TraceQuestion found = question_about(any_record(), any_record().end_time);
  const TraceResult one = ask({found});
  CHECK(one.answers[0].address_seen.has_value() == one.answers[0].candidates.empty());
  // What cannot be read may have had it.
  const auto view = ledger.view();
  std::filesystem::remove(ledger.segment_files().front());
  const auto torn = trace(view, {never}, {}, with_threads(2));
  REQUIRE(torn);
  CHECK_FALSE(torn->answers[0].address_seen);
}

TEST_CASE("of one namespace neither the sessions nor the gaps of another count", "[query][trace]") {
  const Origin blue{"nat-1", "blue"}, red{"nat-1", "red"}, none{"nat-1", ""};
  QueryLedger ledger;
  TrafficDice dice(7);
  std::vector<SessionRecord> records;
  for (const Origin* const origin : {&blue, &red, &none}) {
    SessionRecord record = dice.session(at_minute(1)).front();
    record.origin = origin;
    record.event = RecordEvent::kEnd;
    record.start_time = at_minute(1);
    record.session_start = record.start_time;
    record.end_time = at_minute(3);
    record.nat_ip = *IpAddress::parse("203.0.113.9");
    record.nat_port = 40123;
    records.push_back(record);
  }
  SessionRecord gap = dice.gap(at_minute(1), at_minute(9));
  gap.origin = &red;
  records.push_back(gap);
  ledger.frame(records);
  const CoverageConditions conditions{7, 0, 0, ledger.settings.window};
  ledger.writer->prove({{"blue", at_minute(0), at_minute(60), true, conditions},
                        {"red", at_minute(0), at_minute(5), true, conditions}},
                       true, true);
  TraceQuestion question = question_about(records.front(), at_minute(2));
  const auto ask = [&](std::string netns) {
    question.netns = std::move(netns);
    const auto result = trace(ledger.view(), {question}, {}, {});
    REQUIRE(result);
    return result->answers.front();
  };
  const auto namespaces_of = [](const TraceAnswer& answer) {
    std::multiset<std::string> names;
    for (const TraceCandidate& candidate : answer.candidates) names.insert(candidate.record.origin->netns);
    return names;
  };
  CHECK(namespaces_of(ask("")) == std::multiset<std::string>{"", "blue", "red"});
  CHECK(namespaces_of(ask("blue")) == std::multiset<std::string>{"", "blue"});
  CHECK(ask("blue").gaps.empty());
  CHECK(ask("red").gaps.size() == 1);
  question.from = question.until = at_minute(8);
  CHECK(ask("").verdict == TraceVerdict::kUncertain);
  CHECK(ask("blue").verdict == TraceVerdict::kNoSession);
  question.from = question.until = at_minute(20);
  CHECK(ask("").verdict == TraceVerdict::kNotCovered);
  CHECK(ask("red").verdict == TraceVerdict::kNotCovered);
  CHECK(ask("blue").verdict == TraceVerdict::kNoSession);
}

TEST_CASE_METHOD(TraceFixture, "no session, not covered and uncertain are told apart", "[query][trace]") {
  TraceQuestion question;
  question.nat_ip = ip("203.0.113.99");
  question.nat_port = 1;
  question.from = question.until = at_minute(100);
  CHECK(ask({question}).answers[0].verdict == TraceVerdict::kNoSession);
  question.from = question.until = at_minute(-600);
  CHECK(ask({question}).answers[0].verdict == TraceVerdict::kNotCovered);
  question.from = question.until = at_minute(6000);
  CHECK(ask({question}).answers[0].verdict == TraceVerdict::kNotCovered);
  question.from = question.until = at_minute(400);
  const TraceResult uncertain = ask({question});
  CHECK(uncertain.answers[0].verdict == TraceVerdict::kUncertain);
  REQUIRE(uncertain.answers[0].gaps.size() == 1);
  CHECK(uncertain.answers[0].gaps[0].reason == RecordReason::kOverrun);
  CHECK(ask({}).answers.empty());
  const QueryLedger empty;
  CHECK(trace(empty.view(), {question}, {}, {})->answers[0].verdict == TraceVerdict::kNotCovered);
}

TEST_CASE("gaps beyond those that are told are counted once, and make an answer uncertain",
          "[query][trace][gaps]") {
  constexpr std::uint64_t kGaps = ScanReport::kMaxTold + 500;
  TrafficDice dice(5);
  std::vector<SessionRecord> records;
  for (std::uint64_t i = 0; i < kGaps; ++i) {
    const int minute = static_cast<int>(i);
    records.push_back(dice.gap(at_minute(minute), at_ms(kDayBegin + minute * 60'000 + 1000)));
  }
  QueryLedger ledger;
  ledger.fill(records, 100, 3);
  ledger.prove(at_minute(-10), at_minute(static_cast<int>(kGaps) + 10));
  const SegmentList view = ledger.view();
  std::vector<TraceQuestion> questions(2 * kGaps);
  for (std::uint64_t i = 0; i < questions.size(); ++i) {
    questions[i].nat_ip = ip("203.0.113.99");
    questions[i].nat_port = 1;
    questions[i].slack = std::chrono::milliseconds(0);
    questions[i].from = questions[i].until = at_ms(kDayBegin + static_cast<std::int64_t>(i) * 30'000 + 500);
  }
  // The same gaps are met by the look around the time, and by the look ahead.
  const auto result = trace(view, questions, {}, with_threads(2));
  REQUIRE(result);
  CHECK(result->report.gap_count == kGaps);
  CHECK(result->report.gaps.size() == ScanReport::kMaxTold);
  for (std::uint64_t i = 0; i < questions.size(); ++i) {
    const TraceAnswer& answer = result->answers[i];
    REQUIRE(answer.gap_count() == (i % 2 == 0 ? 1 : 0));
    REQUIRE((answer.verdict == TraceVerdict::kUncertain) == (i % 2 == 0));
  }
}

}  // namespace
}  // namespace natsession::testing
