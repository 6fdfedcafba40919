#include "ask/timeline_chart.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "query/time_text.h"
#include "words.h"

namespace natsession::ctl {
namespace {

constexpr std::size_t kUsualWidth = 100;
constexpr std::size_t kLeastBar = 10;
constexpr std::string_view kBlock = "\xe2\x96\x88";                     // U+2588
constexpr std::string_view kRestBlock = "\xe2\x96\x91";                 // U+2591
constexpr std::array<int, 8> kColours{34, 33, 32, 35, 36, 31, 94, 93};  // of ECMA-48
constexpr std::string_view kMarks = "#=+o*%~x";
constexpr char kRestMark = '.';

// `length` places of the bar of one series.
std::string piece(std::size_t series, bool rest, std::size_t length, bool colours) {
  if (length == 0) return {};
  if (!colours) return std::string(length, rest ? kRestMark : kMarks[series % kMarks.size()]);
  std::string text = rest ? "" : fmt::format("\x1b[{}m", kColours[series % kColours.size()]);
  static const bool kBlocks = takes_utf8();
  for (std::size_t i = 0; i < length; ++i) {
    if (kBlocks) {
      text += rest ? kRestBlock : kBlock;
    } else {
      text += rest ? kRestMark : kMarks[series % kMarks.size()];
    }
  }
  return text + (rest ? "" : "\x1b[0m");
}

std::uint64_t height_of(const TimelineResult& timeline, std::size_t bucket, SumField sum) {
  Sums all;
  for (const TimelineSeries& series : timeline.series) all.add(series.buckets[bucket]);
  return all.of(sum);
}

// The date where it changes and the clock; without the seconds where buckets are whole minutes.
class TimeLabels {
 public:
  explicit TimeLabels(std::chrono::milliseconds bucket) : seconds_(bucket.count() % 60'000 != 0) {}
  [[nodiscard]] std::size_t width() const { return seconds_ ? 21 : 18; }
  std::string next(UnixMs time) {
    const std::string text = format_local_time(time);  // "2026-11-21 14:57:03.123 CET"
    const std::string date = text.substr(0, 10);
    const std::string label = fmt::format("{} {}  ", date == last_ ? std::string(10, ' ') : date,
                                          text.substr(11, seconds_ ? 8 : 5));
    last_ = date;
    return label;
  }

 private:
  bool seconds_;
  std::string last_;
};

// All in pixels.
constexpr double kWidth = 1000;
constexpr double kLeft = 90;
constexpr double kRight = 20;
constexpr double kTop = 50;
constexpr double kPlotHeight = 320;
constexpr double kLegendLine = 20;
constexpr double kLegendTop = kTop + kPlotHeight + 60;
constexpr double kPlotWidth = kWidth - kLeft - kRight;

constexpr int kTicks = 5;
constexpr std::size_t kTimeLabels = 8;
// Told apart also by those who do not see all colours (after Okabe and Ito).
constexpr std::array<std::string_view, 8> kPictureColours{"#0072b2", "#e69f00", "#009e73", "#cc79a7",
                                                          "#56b4e9", "#d55e00", "#f0e442", "#444444"};
constexpr std::string_view kRestColour = "#bbbbbb";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string_view colour_of(std::size_t series, bool rest) {
  return rest ? kRestColour : kPictureColours[series % kPictureColours.size()];
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escaped(text));
}

std::uint64_t highest_of(const TimelineResult& timeline, SumField sum) {
  std::uint64_t highest = 1;
  for (std::size_t i = 0; i < timeline.buckets; ++i) {
    Sums all;
    for (const TimelineSeries& series : timeline.series) all.add(series.buckets[i]);
    highest = std::max(highest, all.of(sum));
  }
  return highest;
}

std::string axes(const TimelineResult& timeline, SumField sum, std::uint64_t highest) {
  std::string out;
  for (int tick = 0; tick <= kTicks; ++tick) {
    const double share = static_cast<double>(tick) / kTicks;
    const double y = kTop + kPlotHeight * (1 - share);
    out += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{2:.1f}\" y2=\"{1:.1f}\" stroke=\"#dddddd\"/>\n", kLeft, y,
        kLeft + kPlotWidth);
    out += text_at(
        kLeft - 8, y + 4, "end",
        amount_text(sum, static_cast<std::uint64_t>(std::llround(static_cast<double>(highest) * share))));
  }
  const std::size_t step = std::max<std::size_t>(1, (timeline.buckets + kTimeLabels - 1) / kTimeLabels);
  for (std::size_t i = 0; i < timeline.buckets; i += step) {
    const std::string time =
        format_local_time(timeline.from + timeline.bucket * static_cast<std::int64_t>(i));
    const double x =
        kLeft + kPlotWidth * (static_cast<double>(i) + 0.5) / static_cast<double>(timeline.buckets);
    out += text_at(x, kTop + kPlotHeight + 18, "middle", time.substr(11, 8));
    if (i == 0 || timeline.bucket * static_cast<std::int64_t>(step) >= std::chrono::hours(3))
      out += text_at(x, kTop + kPlotHeight + 34, "middle", time.substr(0, 10));
  }
  return out;
}

std::string bars(const TimelineResult& timeline, SumField sum, std::uint64_t highest) {
  std::string out;
  const double slot = kPlotWidth / static_cast<double>(timeline.buckets);
  const double width = slot > 3 ? slot - 1 : slot;
  const double scale = kPlotHeight / static_cast<double>(highest);
  std::vector<double> reached(timeline.buckets, 0);
  for (std::size_t s = 0; s < timeline.series.size(); ++s) {
    out += fmt::format("<g fill=\"{}\">\n", colour_of(s, timeline.series[s].rest));
    for (std::size_t i = 0; i < timeline.buckets; ++i) {
      const auto amount = static_cast<double>(timeline.series[s].buckets[i].of(sum));
      if (amount <= 0) continue;
      reached[i] += amount;
      out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n",
                         kLeft + slot * static_cast<double>(i), kTop + kPlotHeight - reached[i] * scale,
                         width, amount * scale);
    }
    out += "</g>\n";
  }
  return out;
}

std::string legend(const TimelineResult& timeline, const ChartLabels& labels) {
  std::string out;
  for (std::size_t s = 0; s < timeline.series.size(); ++s) {
    const double y = kLegendTop + kLegendLine * static_cast<double>(s);
    out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"12\" height=\"12\" fill=\"{}\"/>\n", kLeft,
                       y - 10, colour_of(s, timeline.series[s].rest));
    out += text_at(kLeft + 20, y, "start",
                   fmt::format("{}: {}", labels.series[s],
                               amount_text(labels.sum, timeline.series[s].total.of(labels.sum))));
  }
  return out;
}

}  // namespace

std::string amount_text(SumField sum, std::uint64_t amount) {
  const bool bytes =
      sum == SumField::kBytes || sum == SumField::kBytesFromPub || sum == SumField::kBytesFromVpc;
  return bytes ? bytes_in_words(amount) : grouped(amount);
}

std::string timeline_chart(const TimelineResult& timeline, const ChartLabels& labels, const Screen& screen) {
  const std::size_t columns = screen.width == Screen::kAnyWidth ? kUsualWidth : screen.width;
  const bool colours = screen.colours;
  std::uint64_t highest = 0;
  std::size_t widest = 0;
  for (std::size_t i = 0; i < timeline.buckets; ++i) {
    const std::uint64_t height = height_of(timeline, i, labels.sum);
    highest = std::max(highest, height);
    widest = std::max(widest, amount_text(labels.sum, height).size());
  }
  TimeLabels times(timeline.bucket);
  const std::size_t before_bar = times.width() + widest + 1;
  const std::size_t bar = std::max(columns, before_bar + kLeastBar) - before_bar;
  const double scale = highest == 0 ? 0 : static_cast<double>(bar) / static_cast<double>(highest);

  std::string out;
  for (std::size_t i = 0; i < timeline.buckets; ++i) {
    const std::uint64_t height = height_of(timeline, i, labels.sum);
    out +=
        fmt::format("{}{:>{}} ", times.next(timeline.from + timeline.bucket * static_cast<std::int64_t>(i)),
                    amount_text(labels.sum, height), widest);
    double sum = 0;
    std::size_t drawn = 0;
    for (std::size_t s = 0; s < timeline.series.size(); ++s) {
      sum += static_cast<double>(timeline.series[s].buckets[i].of(labels.sum));
      const auto end = std::min(bar, static_cast<std::size_t>(std::lround(sum * scale)));
      if (end > drawn) out += piece(s, timeline.series[s].rest, end - drawn, colours);
      drawn = std::max(drawn, end);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  }
  if (timeline.series.size() < 2) return out;
  for (std::size_t s = 0; s < timeline.series.size(); ++s) {
    const TimelineSeries& series = timeline.series[s];
    out += fmt::format("  {} {}  {}\n", piece(s, series.rest, 2, colours), printable(labels.series[s]),
                       amount_text(labels.sum, series.total.of(labels.sum)));
  }
  return out;
}

std::string timeline_svg(const TimelineResult& timeline, const ChartLabels& labels, std::string_view title) {
  const std::uint64_t highest = highest_of(timeline, labels.sum);
  const double height = kLegendTop + kLegendLine * static_cast<double>(timeline.series.size());
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
      "{1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" "
      "fill=\"#ffffff\"/>\n",
      kWidth, height);
  out += text_at(kLeft, 26, "start", title);
  out += axes(timeline, labels.sum, highest);
  out += bars(timeline, labels.sum, highest);
  if (timeline.series.size() > 1) out += legend(timeline, labels);
  return out + "</svg>\n";
}

}  // namespace natsession::ctl
