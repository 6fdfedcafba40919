// A timeline as a picture: stacked bars over time, with axes and a legend; SVG 1.1, no scripts.
// Threads: any; times are in the zone of the process.
#pragma once

#include <string>

#include "ask/timeline_chart.h"

namespace natsession::ctl {

// `title` stands above it.
[[nodiscard]] std::string timeline_svg(const TimelineResult& timeline, const ChartLabels& labels,
                                       std::string_view title);

}  // namespace natsession::ctl
