// A timeline as bars in a terminal, a line for each bucket, stacked by series; and as a picture.
// Threads: one; times are in the zone of the process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "query/timeline.h"
#include "words.h"

namespace natsession::ctl {

// What a chart is made from, whatever draws it.
struct ChartLabels {
  std::vector<std::string> series;  // a name for each
  SumField sum = SumField::kBytesFromVpc;
};

// "1.2 GiB", "12,345": as the sum's kind wants it.
[[nodiscard]] std::string amount_text(SumField sum, std::uint64_t amount);

// In colours blocks, else characters of ASCII; 100 wide where the screen has no width.
[[nodiscard]] std::string timeline_chart(const TimelineResult& timeline, const ChartLabels& labels,
                                         const Screen& screen);

// As SVG 1.1, no scripts: stacked bars over time, with axes and a legend. `title` stands above it.
[[nodiscard]] std::string timeline_svg(const TimelineResult& timeline, const ChartLabels& labels,
                                       std::string_view title);

}  // namespace natsession::ctl
