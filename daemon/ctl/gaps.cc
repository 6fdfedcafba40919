// natsessionctl gaps: when sessions may be missing, and why.
#include <memory>

#include <fmt/format.h>

#include "ask/log_access.h"
#include "ask/log_options.h"
#include "command.h"
#include "record/field_words.h"
#include "words.h"

namespace natsession::ctl {
namespace {

constexpr std::chrono::hours kUsualGapTime{24};

AnswerValue known_time(UnixMs time) {
  return time == kUnknownStart ? AnswerValue(std::monostate()) : AnswerValue(time);
}

bool show_gap(const SessionRecord& gap, AnswerPrinter& answer) {
  const bool bounded = gap.start_time != kUnknownStart;
  return answer.row(
      {known_time(gap.start_time), gap.end_time,
       bounded ? AnswerValue(static_cast<double>((gap.end_time - gap.start_time).count()) / 1000)
               : AnswerValue(std::monostate()),
       std::string(to_string(gap.reason)),
       gap.events_lost.known() ? AnswerValue(gap.events_lost.value()) : AnswerValue(std::monostate()),
       std::string(gap.origin->instance), std::string(gap.origin->netns)});
}

int run_gaps(const Global& global, const LogOptions& options) {
  const auto shape = shape_of(global, options);
  if (!shape) return fail("gaps", shape.error());
  auto time = read_times("gaps", options, kUsualGapTime);
  if (!time) return fail("gaps", time.error());
  const auto log = LogAccess::open(global);
  if (!log) return fail("gaps", log.error());
  time = within_ledger(*time, (*log)->store());
  Query query = Query::overlapping(time->from, time->until);
  query.where.push_back(FieldTest::event(RecordEvent::kGap));
  query.columns = Columns::all();
  query.gap_records = true;
  Scan scan((*log)->store(), std::move(query), (*log)->control(time->until_now));
  AnswerPrinter answer(*shape, screen());
  answer.fact("from", time->from);
  answer.fact("until", time->until);
  answer.remark(range_text(*time));
  answer.begin(
      {{"from"}, {"until"}, {"seconds"}, {"reason"}, {"events_lost", Unit::kCount}, {"instance"}, {"netns"}});
  while (const ScanBatch* const batch = scan.next()) {
    for (const SessionRecord& record : batch->records()) {
      if (record.event == RecordEvent::kGap && !show_gap(record, answer)) return kFailed;
    }
  }
  if (auto read = scan.error(); !read) return fail("gaps", read.error());
  return (*log)->finish("gaps", answer, scan.report());
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
