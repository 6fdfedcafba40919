#include "query/port_sweep.h"

#include <algorithm>
#include <cmath>

namespace natsession {
namespace {

constexpr double kHourMs = 3'600'000;
constexpr double kYearMs = 365 * 24 * kHourMs;

}  // namespace

Line line_through(std::span<const std::uint32_t> values) {
  if (values.empty()) return {};
  const auto count = static_cast<double>(values.size());
  const double middle = (count - 1) / 2;
  double mean = 0;
  for (const std::uint32_t value : values) mean += value / count;
  double up = 0;
  double across = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = static_cast<double>(i) - middle;
    up += x * (values[i] - mean);
    across += x * x;
  }
  Line line;
  line.slope = across > 0 ? up / across : 0;
  line.at_zero = mean - line.slope * middle;
  return line;
}

PortSeries PortSweep::series(const PointGrid& grid, std::uint32_t range) const {
  PortSeries series;
  std::int64_t in_use = 0;
  for (std::size_t point = 0; point < grid.points(); ++point) {
    in_use += changes_[point];
    const auto value = static_cast<std::uint32_t>(std::max<std::int64_t>(in_use, 0));
    series.in_use.push_back(value);
    if (value > series.peak || point == 0) {
      series.peak = value;
      series.peak_at = grid.time_of(point);
    }
  }
  series.now = series.in_use.empty() ? 0 : series.in_use.back();
  series.peak_share = static_cast<double>(series.peak) / range;
  series.now_share = static_cast<double>(series.now) / range;

  const Line line = line_through(series.in_use);
  const auto step_ms = static_cast<double>((grid.time_of(1) - grid.time_of(0)).count());
  series.per_hour = line.slope * kHourMs / step_ms;
  if (line.slope > 0) {
    const double full = (range - line.at_zero) / line.slope;  // in steps
    const double ahead = std::max(0.0, full - static_cast<double>(grid.points() - 1)) * step_ms;
    if (ahead <= kYearMs) {
      series.full_at = grid.time_of(grid.points() - 1) + std::chrono::milliseconds(std::llround(ahead));
    }
  }
  return series;
}

}  // namespace natsession
