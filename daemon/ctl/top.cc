// natsessionctl top: who has the most.
#include "query/top.h"

#include <memory>

#include <fmt/format.h>

#include "ask/identity_access.h"
#include "ask/log_access.h"
#include "ask/log_options.h"
#include "command.h"
#include "words.h"

namespace natsession::ctl {
namespace {

struct TopCommand {
  LogOptions log;
  std::vector<std::string> by;
  std::string sum;
  std::size_t count = 10;
  bool from_records = false;
};

constexpr std::chrono::hours kUsualTopTime{1};

Result<TopQuestion> read_top(const TopCommand& options, Grouping& grouping) {
  TopQuestion question;
  auto where = read_where(options.log);
  if (!where) return where.error();
  question.query.where = std::move(*where);
  grouping.fields = {Field::kPriIp};
  if (!options.by.empty()) {
    auto by = read_grouping("--by", options.by, options.log);
    if (!by) return by.error();
    grouping = std::move(*by);
  }
  question.by = grouping.fields;
  const auto sum = read_sum(options.sum, options.log);
  if (!sum) return sum.error();
  question.sum = *sum;
  question.count = options.count;
  return question;
}

AnswerValue key_value(Field field, const GroupValue& value) {
  if (std::holds_alternative<std::monostate>(value)) return std::monostate();
  const auto* const number = std::get_if<std::uint64_t>(&value);
  if (number != nullptr && kind_of(field) == FieldKind::kNumber) return *number;
  return to_text(field, value);
}

int show_top(Shape shape, const LogOptions& options, const TopQuestion& question, const Grouping& grouping,
             const AskedTime& time, const TopResult& result, LogAccess& log) {
  AnswerPrinter answer(shape, screen());
  answer.fact("from", time.from);
  answer.fact("until", time.until);
  answer.fact("sum", std::string(shown_sum(question.sum, options)));
  answer.fact("groups", result.group_count);
  answer.fact("total", result.total.of(question.sum));
  answer.remark(range_text(time));
  const std::uint64_t total = result.total.of(question.sum);
  answer.remark(fmt::format("{} of {} groups with the most {}, of {} together", grouped(result.groups.size()),
                            grouped(result.group_count), shown_sum(question.sum, options), grouped(total)));
  std::vector<AnswerColumn> columns;
  for (std::size_t i = 0; i < question.by.size(); ++i)
    columns.push_back({std::string(grouping.name(i, options))});
  columns.push_back({"share", Unit::kShare});
  for (const SumField sum : shown_sums(options)) {
    const bool bytes = sum == SumField::kBytesFromVpc || sum == SumField::kBytesFromPub;
    columns.push_back({std::string(shown_sum(sum, options)), bytes ? Unit::kBytes : Unit::kCount});
  }
  answer.begin(std::move(columns));
  for (const TopGroup& group : result.groups) {
    std::vector<AnswerValue> row;
    for (std::size_t i = 0; i < question.by.size(); ++i)
      row.push_back(key_value(question.by[i], group.key[i]));
    row.emplace_back(
        total == 0 ? 0.0 : static_cast<double>(group.sums.of(question.sum)) / static_cast<double>(total));
    for (const SumField field : shown_sums(options)) row.emplace_back(group.sums.of(field));
    if (!answer.row(std::move(row))) return kFailed;
  }
  if (result.total.unknown != 0) {
    answer.remark(fmt::format("{} records have counters that are not known", grouped(result.total.unknown)));
  }
  return log.finish("top", answer, result.report);
}

int run_top(const Global& global, const TopCommand& options) {
  const auto shape = shape_of(global, options.log);
  if (!shape) return fail("top", shape.error());
  auto time = read_times("top", options.log, kUsualTopTime);
  if (!time) return fail("top", time.error());
  Grouping grouping;
  auto question = read_top(options, grouping);
  if (!question) return fail("top", question.error());
  std::optional<IdentityAccess> identity;
  if (grouping.subscriber) {
    identity = IdentityAccess::open(global);
    if (identity->names() == nullptr) return fail("top", identity->error());
    question->names = {identity->names(), *grouping.subscriber};
  }
  const auto log = LogAccess::open(global);
  if (!log) return fail("top", log.error());
  if (auto chosen = (*log)->choose(options.log); !chosen) return fail("top", chosen.error());
  time = within_ledger(*time, (*log)->store());
  if (!time) return fail("top", time.error());
  question->query.end = {time->from, time->until};
  ScanControl control = (*log)->control(time->until_now);
  control.from_records = options.from_records;
  const auto result = find_top((*log)->store(), *question, control);
  (*log)->end_progress();
  if (!result) return fail("top", result.error());
  if (result->report.cancelled) return (*log)->interrupted("top");
  if (identity) warn_of_damage("top", *identity);
  return show_top(*shape, options.log, *question, grouping, *time, *result, **log);
}

}  // namespace

void add_top(Commands& commands) {
  Command command = commands.add("top", "Who has the most traffic or sessions?");
  const auto options = std::make_shared<TopCommand>();
  command.option(
      "-b,--by", options->by, "FIELD",
      "Group by this field, or by two: pri_ip, pub_ip, pub_port, nat_ip, vpc_id ..., or subscriber; default "
      "pri_ip");
  command.option(
      "-s,--sum", options->sum, "SUM",
      "By what they are ordered: bytes_from_vpc, bytes_from_pub, pkts_from_vpc, pkts_from_pub, bytes, "
      "pkts, sessions, records; default bytes_from_vpc");
  command.option("-n,--count", options->count, 1, TopQuestion::kMaxCount, "N", "So many; default 10");
  command.flag(
      "--from-records", options->from_records,
      "Ask the records alone, not the sums that stand ready beside them; the answer is the same, and "
      "takes longer");
  add_where_options(command, options->log);
  add_log_option(command, options->log);
  add_time_options(command, options->log, "default an hour before --until");
  add_csv_option(command, options->log);
  command.footer(
      "A record belongs to the time in which it ends, and a session to that of its first record: sessions "
      "are "
      "those that began in the time, or in the window before it.\n\n"
      "Examples:\n  natsessionctl top\n"
      "  natsessionctl top --where pub_ip=198.51.100.157 --since '14:55' --until '15:05'\n"
      "  natsessionctl top --by pri_ip --by pub_port --sum sessions --since today -n 20\n"
      "  natsessionctl top --log flow --by interface --by srcaddr --where action=REJECT --since today\n"
      "  natsessionctl top --by subscriber --since today\n"
      "  natsessionctl --json top --by vpc_id --since -1d");
  command.run([options](const Global& global) { return run_top(global, *options); });
}

}  // namespace natsession::ctl
