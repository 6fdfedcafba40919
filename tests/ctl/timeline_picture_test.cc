#include <catch2/catch.hpp>

#include "ask/timeline_chart.h"
#include "ctl/in_utc.h"
#include "ctl/sample_answer.h"

namespace natsession::ctl {
namespace {

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
  CHECK(timeline_chart(timeline, labels, 46, /*colours=*/false) ==
        "2026-11-21 12:20  2.0 KiB #####.....\n"
        "           12:21  4.0 KiB ####################\n"
        "           12:22  1.0 KiB .....\n"
        "  ## 10.0.0.5  5.0 KiB\n"
        "  .. all <others>  2.0 KiB\n");
}

TEST_CASE_METHOD(Drawn, "a narrow terminal still has bars, and no traffic is no bar", "[ctl][timeline]") {
  CHECK(count(timeline_chart(timeline, labels, 1, false), "#") > 5);
  for (TimelineSeries& series : timeline.series) series.buckets.assign(3, Sums{});
  CHECK(timeline_chart(timeline, labels, 80, false).starts_with("2026-11-21 12:20  0 B\n"));
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
