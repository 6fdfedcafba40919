// natsessionctl timeline: traffic over time, in the terminal or as a picture.
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "ask/answer_printer.h"
#include "ask/identity_access.h"
#include "ask/log_access.h"
#include "ask/log_options.h"
#include "ask/timeline_chart.h"
#include "command.h"

namespace natsession::ctl {
namespace {

using std::chrono::milliseconds;

struct TimelineCommand {
  LogOptions log;
  std::string bucket;
  std::string by;
  std::string sum;
  std::size_t series = 8;
  bool at_end = false;
  bool from_records = false;
  std::string svg;
};

constexpr std::chrono::hours kUsualTimelineTime{1};
constexpr std::int64_t kMostBuckets = 60;  // that are chosen without being asked for

// As many as a terminal shows well.
milliseconds usual_bucket(const AskedTime& time) {
  using namespace std::chrono_literals;
  constexpr std::array<milliseconds, 15> kLengths{1s,    2s,    5s, 10s, 30s, 1min, 2min, 5min,
                                                  10min, 30min, 1h, 2h,  6h,  12h,  24h};
  for (const milliseconds length : kLengths) {
    if ((time.until - time.from) / length <= kMostBuckets) return length;
  }
  return kLengths.back() * ((time.until - time.from) / kLengths.back() / kMostBuckets + 1);
}

bool begins_with_days(milliseconds bucket) {
  constexpr milliseconds kDay = std::chrono::days(1);
  return kDay % bucket == milliseconds(0) || bucket % kDay == milliseconds(0);
}

// Down to where a bucket begins by the clocks of this zone.
UnixMs aligned(UnixMs time, milliseconds bucket) {
  const auto reading = parse_time_text("now", time);
  const milliseconds offset = reading ? milliseconds(reading->utc_offset) : milliseconds(0);
  const milliseconds local = time.time_since_epoch() + offset;
  return time - ((local % bucket) + bucket) % bucket;
}

// But for the time.
Result<TimelineQuestion> read_timeline(const TimelineCommand& options, Grouping& grouping) {
  TimelineQuestion question;
  if (!options.bucket.empty()) {
    const auto bucket = read_length("--bucket", options.bucket);
    if (!bucket) return bucket.error();
    if (!begins_with_days(*bucket)) {
      return Error{
          ErrorKind::kUsage,
          fmt::format("--bucket: {} does not divide a day, nor is it whole days: its bars would begin at "
                      "other times each day",
                      format_duration(*bucket))};
    }
    question.bucket = *bucket;
  }
  auto where = read_where(options.log);
  if (!where) return where.error();
  question.where = std::move(*where);
  if (!options.by.empty()) {
    auto by = read_grouping("--by", {options.by}, options.log);
    if (!by) return by.error();
    grouping = std::move(*by);
    if (grouping.fields.size() != 1)
      return Error{ErrorKind::kUsage, "--by: one field, not '" + options.by + "'"};
    question.by = grouping.fields.front();
  }
  const auto sum = read_sum(options.sum, options.log);
  if (!sum) return sum.error();
  question.sum = *sum;
  question.series = options.series;
  question.spread = options.at_end ? Spread::kAtEnd : Spread::kOverSlice;
  return question;
}

// What a series is of.
std::string_view by_name(const LogOptions& options, const TimelineQuestion& question) {
  const Grouping grouping{{*question.by},
                          question.names.names == nullptr ? std::nullopt : std::optional<std::size_t>(0)};
  return grouping.name(0, options);
}

ChartLabels labels_of(const LogOptions& options, const TimelineQuestion& question,
                      const TimelineResult& result) {
  ChartLabels labels{{}, question.sum};
  for (const TimelineSeries& series : result.series) {
    labels.series.push_back(series.rest   ? "all others"
                            : question.by ? to_text(*question.by, series.key)
                                          : std::string(shown_sum(question.sum, options)));
  }
  return labels;
}

std::string title_of(const LogOptions& options, const TimelineQuestion& question) {
  return fmt::format("{}{} in {} from {}", shown_sum(question.sum, options),
                     question.by ? fmt::format(" by {}", by_name(options, question)) : "",
                     format_duration(question.bucket), range_text({question.from, question.until}));
}

int show_rows(Shape shape, const LogOptions& options, const TimelineQuestion& question,
              const TimelineResult& result, const ChartLabels& labels, LogAccess& log) {
  AnswerPrinter answer(shape, screen());
  answer.fact("from", question.from);
  answer.fact("until", question.until);
  answer.fact("bucket", format_duration(question.bucket));
  std::vector<AnswerColumn> columns{{"time"}};
  if (question.by) columns.push_back({std::string(by_name(options, question))});
  for (const SumField sum : shown_sums(options)) columns.push_back({std::string(shown_sum(sum, options))});
  answer.begin(std::move(columns));
  for (std::size_t i = 0; i < result.buckets; ++i) {
    for (std::size_t s = 0; s < result.series.size(); ++s) {
      std::vector<AnswerValue> row{result.from + result.bucket * static_cast<std::int64_t>(i)};
      if (question.by) row.emplace_back(labels.series[s]);
      for (const SumField sum : shown_sums(options)) row.emplace_back(result.series[s].buckets[i].of(sum));
      if (!answer.row(std::move(row))) return kFailed;
    }
  }
  return log.finish("timeline", answer, result.report);
}

Result<void> write_picture(const std::string& path, const std::string& svg) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "we"), std::fclose);
  if (!file) return system_error("--svg " + path, errno, ErrorKind::kUsage);
  if (std::fwrite(svg.data(), 1, svg.size(), file.get()) == svg.size() && std::fflush(file.get()) == 0)
    return {};
  return system_error("writing " + path, errno);
}

int show_timeline(Shape shape, const TimelineCommand& options, const TimelineQuestion& question,
                  const TimelineResult& result, LogAccess& log) {
  const ChartLabels labels = labels_of(options.log, question, result);
  if (!options.svg.empty()) {
    const auto written =
        write_picture(options.svg, timeline_svg(result, labels, title_of(options.log, question)));
    if (!written) return fail("timeline", written.error());
  }
  if (shape != Shape::kTable) return show_rows(shape, options.log, question, result, labels, log);
  int status = kDone;
  if (options.svg.empty()) {
    status = print(paragraph(title_of(options.log, question), 0, Paint::kPlain, screen()) +
                   timeline_chart(result, labels, screen()));
  } else {
    fmt::print(stderr, "natsessionctl: timeline: the picture is in {}\n", options.svg);
  }
  warn("timeline", result.report);
  return status;
}

int run_timeline(const Global& global, const TimelineCommand& options) {
  const auto shape = shape_of(global, options.log);
  if (!shape) return fail("timeline", shape.error());
  auto time = read_times("timeline", options.log, kUsualTimelineTime);
  if (!time) return fail("timeline", time.error());
  Grouping grouping;
  auto question = read_timeline(options, grouping);
  if (!question) return fail("timeline", question.error());
  std::optional<IdentityAccess> identity;
  if (grouping.subscriber) {
    identity = IdentityAccess::open(global);
    if (identity->names() == nullptr) return fail("timeline", identity->error());
    question->names = {identity->names(), 0};
  }
  const auto log = LogAccess::open(global);
  if (!log) return fail("timeline", log.error());
  if (auto chosen = (*log)->choose(options.log); !chosen) return fail("timeline", chosen.error());
  time = within_ledger(*time, (*log)->store());
  if (!time) return fail("timeline", time.error());
  if (options.bucket.empty()) question->bucket = usual_bucket(*time);
  question->from = aligned(time->from, question->bucket);
  question->until = time->until;
  ScanControl control = (*log)->control(time->until_now);
  control.from_records = options.from_records;
  const auto result = find_timeline((*log)->store(), *question, control);
  (*log)->end_progress();
  if (!result) return fail("timeline", result.error());
  if (result->report.cancelled) return (*log)->interrupted("timeline");
  if (identity) warn_of_damage("timeline", *identity);
  return show_timeline(*shape, options, *question, *result, **log);
}

}  // namespace

void add_timeline(Commands& commands) {
  Command command = commands.add("timeline", "Show traffic or sessions over time");
  const auto options = std::make_shared<TimelineCommand>();
  command.option("--bucket", options->bucket, "DURATION",
                 "How long each bar is: 5m, '5 minutes', 10s, 1h, what divides a day; default: what fits");
  command.option("-b,--by", options->by, "FIELD",
                 "Stacked by this field: pri_ip, pub_ip, protocol ..., or subscriber");
  command.option(
      "-s,--sum", options->sum, "SUM",
      "What is summed up: bytes_from_vpc, bytes_from_pub, pkts_from_vpc, pkts_from_pub, bytes, pkts, "
      "sessions, records; default bytes_from_vpc");
  command.option("-n,--series", options->series, 1, TimelineQuestion::kMaxSeries, "N",
                 "The so many largest of --by; default 8");
  command.flag(
      "--at-end", options->at_end,
      "Count a record where it ends, as date_trunc(unit, __time__) does, instead of spread over its time");
  command.option("--svg", options->svg, "FILE", "Draw a picture to this file");
  command.flag(
      "--from-records", options->from_records,
      "Ask the records alone, not the sums that stand ready beside them; the answer is the same, and "
      "takes longer");
  add_where_options(command, options->log);
  add_log_option(command, options->log);
  add_time_options(command, options->log, "default an hour before --until");
  add_csv_option(command, options->log);
  command.footer(
      "Examples:\n  natsessionctl timeline --since -2h\n"
      "  natsessionctl timeline --where pub_ip=198.51.100.157 --by pri_ip --since 14:55 --until 15:05 "
      "--bucket 1m\n"
      "  natsessionctl timeline --since yesterday --until today --by protocol --svg yesterday.svg");
  command.run([options](const Global& global) { return run_timeline(global, *options); });
}

}  // namespace natsession::ctl
