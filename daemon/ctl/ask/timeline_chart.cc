#include "ask/timeline_chart.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <unistd.h>

#include "query/time_text.h"
#include "words.h"

namespace natsession::ctl {
namespace {

constexpr std::size_t kUsualColumns = 100;
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
  for (std::size_t i = 0; i < length; ++i) text += rest ? kRestBlock : kBlock;
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

}  // namespace

std::string amount_text(SumField sum, std::uint64_t amount) {
  const bool bytes =
      sum == SumField::kBytes || sum == SumField::kBytesFromPub || sum == SumField::kBytesFromVpc;
  return bytes ? bytes_in_words(amount) : grouped(amount);
}

std::string timeline_chart(const TimelineResult& timeline, const ChartLabels& labels, std::size_t columns,
                           bool colours) {
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

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kUsualColumns;
}

}  // namespace natsession::ctl
