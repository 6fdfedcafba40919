#include "ask/answer_printer.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "ask/timeline_chart.h"
#include "command.h"
#include "ctl/sample_answer.h"

namespace natsession::ctl {
namespace {

using namespace testing;  // NOLINT: the tests' own language

struct Printed : InUtc {
  AnswerPrinter printer(Shape shape) {
    return {shape, /*colours=*/false, [this](std::string_view text) {
              if (taken) out += text;
              return taken;
            }};
  }
  std::string of(Shape shape, const ScanReport& report = {}) {
    AnswerPrinter answer = printer(shape);
    answer.fact("from", at_second(0));
    answer.remark("a remark");
    answer.begin({{"host"}, {"bytes", Unit::kBytes}, {"share", Unit::kShare}, {"at"}});
    REQUIRE(answer.row({std::string("a,\"b\""), std::uint64_t{2048}, 0.25, at_second(0)}));
    REQUIRE(answer.row({AnswerValue(), std::uint64_t{1}, 0.5, AnswerValue()}));
    CHECK(answer.finish(report) == kDone);
    return out;
  }
  std::string out;
  bool taken = true;
};

TEST_CASE_METHOD(Printed, "a table has a line for each row, as people read numbers", "[ctl][answer]") {
  CHECK(of(Shape::kTable) ==
        "a remark\n"
        "host     bytes   share  at\n"
        "a,\"b\"  2.0 KiB  25.0 %  2026-11-21 12:20:00.000 UTC\n"
        "-          1 B  50.0 %  -\n");
}

TEST_CASE_METHOD(Printed,
                 "on a narrow screen the columns that do not fit stand below, and remarks are broken",
                 "[ctl][answer]") {
  AnswerPrinter answer(Shape::kTable, {/*with_colours=*/false, 24}, [this](std::string_view text) {
    out += text;
    return true;
  });
  answer.remark("a remark that does not fit");
  answer.remark("");
  answer.begin({{"host"}, {"bytes", Unit::kBytes}, {"at"}});
  REQUIRE(answer.row({std::string("10.0.0.5"), std::uint64_t{2048}, at_second(0)}));
  REQUIRE(answer.row({std::string("10.0.0.17"), std::uint64_t{1}, AnswerValue()}));
  CHECK(answer.finish({}) == kDone);
  CHECK(out ==
        "a remark that does not\nfit\n\n"
        "host         bytes\n    at\n"
        "10.0.0.5   2.0 KiB\n    2026-11-21\n    12:20:00.000 UTC\n"
        "10.0.0.17      1 B\n    -\n");
}

TEST_CASE_METHOD(Printed, "CSV has a head, quotes where it must, and nothing but the rows", "[ctl][answer]") {
  CHECK(of(Shape::kCsv) ==
        "host,bytes,share,at\n"
        "\"a,\"\"b\"\"\",2048,0.25,2026-11-21T12:20:00.000Z\n"
        ",1,0.5,\n");
}

TEST_CASE_METHOD(Printed, "times are exact in every form, and no number hides digits in an exponent",
                 "[ctl][answer]") {
  const auto printed = [this](Shape shape) {
    out.clear();
    AnswerPrinter answer = printer(shape);
    answer.begin({{"a"}, {"b"}, {"c"}});
    REQUIRE(answer.row({1795881779.898, 1795881780.0, 1795881779.898 * 1000}));
    CHECK(answer.finish({}) == kDone);
    return out;
  };
  CHECK(printed(Shape::kCsv) == "a,b,c\n1795881779.898,1795881780.000,1795881779898\n");
  CHECK(printed(Shape::kTable).find("\n1795881779.898  1795881780.000  1795881779898\n") !=
        std::string::npos);
  CHECK(printed(Shape::kJson).find("\"a\":1795881779.898,") != std::string::npos);
}

TEST_CASE_METHOD(Printed, "JSON has the facts, the rows and what is missing", "[ctl][answer]") {
  ScanReport report;
  report.gaps = {sample_gap()};
  report.gap_count = 1;
  report.troubles = {{TroubleKind::kDamaged, {at_second(0), std::nullopt}, 7, "segment x"}};
  report.trouble_count = 1;
  const auto json = nlohmann::json::parse(of(Shape::kJson, report));
  CHECK(json["from"] == "2026-11-21T12:20:00.000Z");
  REQUIRE(json["rows"].size() == 2);
  CHECK(json["rows"][0]["host"] == "a,\"b\"");
  CHECK(json["rows"][0]["bytes"] == 2048);
  CHECK(json["rows"][1]["host"].is_null());
  CHECK(json["complete"] == false);
  CHECK(json["gaps"][0]["reason"] == "overrun");
  CHECK(json["gaps"][0]["events_lost"] == 1200);
  CHECK(json["damage"][0]["records"] == 7);
  CHECK(json["damage"][0]["until"].is_null());
}

TEST_CASE("gaps and damage are one warning each, however many there are", "[ctl][answer]") {
  const InUtc utc;
  const KnownGap gap = sample_gap();
  const Trouble trouble{TroubleKind::kDamaged, {at_second(0), std::nullopt}, 7, "segment x"};
  CHECK(notes_of({gap}, 1, {}, 0) == std::vector<std::string>{"the log has a gap: " + gap_text(gap)});
  const auto notes = notes_of({gap, gap, gap}, 1234, {trouble, trouble}, 2);
  REQUIRE(notes.size() == 2);
  CHECK(notes[0] == "the log has 1,234 gaps; the first: " + gap_text(gap) + "; 3 of them stand in --json");
  CHECK(notes_of({gap, gap}, 2, {}, 0)[0].ends_with("; the others stand in --json"));
  CHECK(notes_of({}, 7, {}, 0)[0] ==
        "the log has 7 gaps, too many to be told one by one: ask about less time");
  CHECK(notes[1].starts_with("the ledger cannot be read in 2 places; the first: "));
  CHECK(notes_of({}, 0, {}, 0).empty());
}

TEST_CASE_METHOD(Printed, "an answer without rows is JSON, too", "[ctl][answer]") {
  AnswerPrinter answer = printer(Shape::kJson);
  CHECK(answer.finish({}) == kDone);
  const auto json = nlohmann::json::parse(out);
  CHECK(json["rows"].empty());
  CHECK(json["complete"] == true);
}

TEST_CASE_METHOD(Printed, "texts from elsewhere move no cursor and break no JSON", "[ctl][answer]") {
  AnswerPrinter table = printer(Shape::kTable);
  table.begin({{"x"}});
  REQUIRE(table.row({std::string("\x1b[2Jevil\n")}));
  CHECK(table.finish({}) == kDone);
  CHECK(out == "x\n?[2Jevil\n");
  out.clear();
  AnswerPrinter json = printer(Shape::kJson);
  json.begin({{"x"}});
  REQUIRE(json.row({std::string("\xff\"")}));
  CHECK(json.finish({}) == kDone);
  CHECK(nlohmann::json::parse(out)["rows"][0]["x"] == "\xef\xbf\xbd\"");
}

TEST_CASE_METHOD(Printed, "long answers go out while they come, and stop when nobody takes them",
                 "[ctl][answer]") {
  AnswerPrinter answer = printer(Shape::kCsv);
  answer.begin({{"x"}});
  std::size_t rows = 0;
  while (out.empty() && rows < 100'000 && answer.row({std::string("12345678")})) ++rows;
  CHECK(rows < 100'000);
  taken = false;
  while (rows < 200'000 && answer.row({std::string("12345678")})) ++rows;
  CHECK(rows < 100'000);
  CHECK(answer.finish({}) == kFailed);
}

TEST_CASE_METHOD(Printed, "a table of thousands of rows keeps all of them", "[ctl][answer]") {
  AnswerPrinter answer = printer(Shape::kTable);
  answer.begin({{"n"}});
  for (std::int64_t i = 0; i < 1234; ++i) REQUIRE(answer.row({i}));
  CHECK(answer.finish({}) == kDone);
  std::size_t numbers = 0;
  for (std::size_t at = 0; at < out.size(); at = out.find('\n', at) + 1) {
    if (out[at] != 'n' && out.substr(at, out.find('\n', at) - at).find('n') == std::string::npos) ++numbers;
  }
  CHECK(numbers == 1234);
}

using namespace testing;  // NOLINT: the tests' own language

Sums bytes(std::uint64_t count) {
  Sums sums;
  sums.bytes_from_vpc = count;
  return sums;
}

struct Drawn : InUtc {
  Drawn() {
    timeline.from = at_second(0);
    timeline.bucket = std::chrono::minutes(1);
    timeline.buckets = 3;
    timeline.series.push_back({{}, false, bytes(5120), {bytes(1024), bytes(4096), bytes(0)}});
    timeline.series.push_back({{}, true, bytes(2048), {bytes(1024), bytes(0), bytes(1024)}});
    labels.series = {"10.0.0.5", "all <others>"};
  }
  std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  }
  TimelineResult timeline;
  ChartLabels labels;
};

TEST_CASE_METHOD(Drawn, "a bar is as long as its bucket's sum, a piece for each series", "[ctl][timeline]") {
  CHECK(timeline_chart(timeline, labels, {/*with_colours=*/false, 46}) ==
        "2026-11-21 12:20  2.0 KiB #####.....\n"
        "           12:21  4.0 KiB ####################\n"
        "           12:22  1.0 KiB .....\n"
        "  ## 10.0.0.5  5.0 KiB\n"
        "  .. all <others>  2.0 KiB\n");
}

TEST_CASE_METHOD(Drawn, "a narrow terminal still has bars, and no traffic is no bar", "[ctl][timeline]") {
  CHECK(count(timeline_chart(timeline, labels, {false, 1}), "#") > 5);
  for (TimelineSeries& series : timeline.series) series.buckets.assign(3, Sums{});
  CHECK(timeline_chart(timeline, labels, {false, 80}).starts_with("2026-11-21 12:20  0 B\n"));
}

TEST_CASE_METHOD(Drawn, "a picture has a bar for each sum above zero and texts that are XML",
                 "[ctl][timeline]") {
  const std::string svg = timeline_svg(timeline, labels, "bytes & more");
  // The background, four bars, two of the legend.
  CHECK(count(svg, "<rect ") == 7);
  CHECK(count(svg, "<g ") == count(svg, "</g>"));
  CHECK(svg.find("all &lt;others&gt;: 2.0 KiB") != std::string::npos);
  CHECK(svg.find("bytes &amp; more") != std::string::npos);
  CHECK(svg.find("height=\"320.0\"") != std::string::npos);  // the highest reaches the top
}

}  // namespace
}  // namespace natsession::ctl
