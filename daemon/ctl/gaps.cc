// natsessionctl gaps: when sessions may be missing, and why.
#include <memory>

#include <fmt/format.h>

#include "ask/log_access.h"
#include "ask/log_options.h"
#include "command.h"
#include "query/ready_sums.h"
#include "query/scan.h"
#include "words.h"

namespace natsession::ctl {
namespace {

constexpr std::chrono::hours kUsualGapTime{24};

bool show_gap(const KnownGap& gap, AnswerPrinter& answer) {
  const bool bounded = gap.from != kUnknownStart;
  const auto length = std::chrono::duration<double>(gap.until - (bounded ? gap.from : gap.until));
  return answer.row(
      {bounded ? AnswerValue(gap.from) : AnswerValue(std::monostate()), gap.until,
       bounded ? AnswerValue(length.count()) : AnswerValue(std::monostate()),
       std::string(to_string(gap.reason)),
       gap.events_lost.known() ? AnswerValue(gap.events_lost.value()) : AnswerValue(std::monostate()),
       gap.instance, gap.netns});
}

// Gap records alone; what sums that stand ready tell to have none is not read.
Query gaps_of(const AskedTime& time, LogAccess& log, const ScanControl& control) {
  Query query = Query::overlapping(time.from, time.until);
  query.where.push_back(FieldTest::event(RecordEvent::kGap));
  constexpr std::chrono::minutes kStep{1};
  const UnixMs from = std::chrono::floor<std::chrono::minutes>(time.from);
  std::string note;
  if (const auto ready = ReadySums::over_time(from, time.until, kStep, {}, std::nullopt, /*at_end=*/true))
    query.ready = ready->read(
        log.store(), control, [](unsigned, SumsKind, std::span<const SumsEntry>) {}, note);
  return query;
}

int run_gaps(const Global& global, const LogOptions& options) {
  const auto shape = shape_of(global, options);
  if (!shape) return fail("gaps", shape.error());
  auto time = read_times("gaps", options, kUsualGapTime);
  if (!time) return fail("gaps", time.error());
  const auto log = LogAccess::open(global);
  if (!log) return fail("gaps", log.error());
  time = within_ledger(*time, (*log)->store());
  const ScanControl control = (*log)->control(time->until_now);
  Scan scan((*log)->store(), gaps_of(*time, **log, control), control);
  scan.run([](unsigned, const ScanBatch&) {});  // the report has them
  if (auto read = scan.error(); !read) return fail("gaps", read.error());
  const ScanReport& report = scan.report();
  AnswerPrinter answer(*shape, screen());
  answer.fact("from", time->from);
  answer.fact("until", time->until);
  answer.fact("count", report.gap_count);
  answer.remark(range_text(*time));
  if (report.gap_count > report.gaps.size()) {
    answer.remark(fmt::format("{} gaps, the first {} are shown: ask about less time for the others",
                              grouped(report.gap_count), grouped(report.gaps.size())));
  }
  answer.begin(
      {{"from"}, {"until"}, {"seconds"}, {"reason"}, {"events_lost", Unit::kCount}, {"instance"}, {"netns"}});
  for (const KnownGap& gap : report.gaps) {
    if (!show_gap(gap, answer)) return kFailed;
  }
  return (*log)->finish("gaps", answer, report);
}

}  // namespace

void add_gaps(Commands& commands) {
  Command command = commands.add("gaps", "When sessions may be missing from the log, and why");
  const auto options = std::make_shared<LogOptions>();
  add_time_options(command, *options, "default a day before --until");
  add_csv_option(command, *options);
  command.footer(
      "Each row is a gap record: what the log itself says that it lacks. Without one it is still not proved "
      "that "
      "all is there: 'complete' and 'missing' of --json, and the warning, tell that.\n\n"
      "Examples:\n  natsessionctl gaps\n  natsessionctl gaps --since -30d\n"
      "  natsessionctl --json gaps --since '2026-11-01' --until '2026-12-01'");
  command.run([options](const Global& global) { return run_gaps(global, *options); });
}

}  // namespace natsession::ctl
