#include "ask/trace_text.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "ctl/in_utc.h"
#include "ctl/sample_answer.h"

namespace natsession::ctl {
namespace {

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
  CHECK(trace_text(sample_question(), answer, ledger, /*colours=*/false) ==
        "203.0.113.7:40123 tcp at 2026-11-21 12:20:30.000 UTC, give or take 5s, zone UTC (UTC+00:00)\n"
        "1 session\n"
        "private host    protocol  translated         peer               from                         until"
        "                           bytes out / in\n"
        "10.0.0.5:51234  tcp       203.0.113.7:40123  [2001:db8::9]:443  2026-11-21 12:19:30.000 UTC  "
        "2026-11-21 12:21:00.000 UTC  1.0 KiB / 5.0 MiB\n"
        "  it moved traffic in this window; vpc blue, instance gw-1\n");
}

TEST_CASE_METHOD(Told, "that there was none is told with what that means", "[ctl][trace]") {
  const auto told = [&](TraceVerdict verdict) {
    answer.verdict = verdict;
    return verdict_text(answer, ledger);
  };
  CHECK(told(TraceVerdict::kNoSession) == "no such session: the log is complete for this time, and has none");
  CHECK(told(TraceVerdict::kUncertain).find("not complete for this time") != std::string::npos);
  CHECK(told(TraceVerdict::kNotCovered)
            .find("from 2026-11-21 12:18:20.000 UTC to 2026-11-21 12:21:40.000 UTC") != std::string::npos);
  ledger.records = 0;
  CHECK(told(TraceVerdict::kNotCovered) == "no such session was found: the ledger is empty");
}

TEST_CASE_METHOD(Told, "JSON has all that is known of a candidate", "[ctl][trace]") {
  answer.verdict = TraceVerdict::kFound;
  answer.candidates = {sample_candidate()};
  answer.gaps = {sample_gap()};
  const auto json = nlohmann::json::parse(trace_json(sample_question(), answer, ledger));
  CHECK(json["verdict"] == "found");
  CHECK(json["question"]["from"] == "2026-11-21T12:20:30.000Z");
  const auto& candidate = json["candidates"][0];
  CHECK(candidate["pri_ip"] == "10.0.0.5");
  CHECK(candidate["session_id"] == "0000000000000abc");
  CHECK(candidate["record"]["bytes_from_vpc"] == 1024);
  CHECK(candidate["record"]["pkts_from_vpc"].is_null());
  CHECK(candidate["reasons"][0] == "it moved traffic in this window");
  CHECK(json["gaps"][0]["events_lost"] == 1200);
}

}  // namespace
}  // namespace natsession::ctl
