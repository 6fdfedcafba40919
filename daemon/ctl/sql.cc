// natsessionctl sql: a SELECT over the table `log`.
#include <array>
#include <cctype>
#include <cstdio>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "ask/identity_access.h"
#include "ask/log_access.h"
#include "ask/log_options.h"
#include "command.h"
#include "query/sql_session.h"
#include "record/field_words.h"

namespace natsession::ctl {
namespace {

struct SqlCommand {
  LogOptions log;
  std::string statement;
  std::string time_limit = "10m";
  std::string memory = "192M";
  bool utc = false;
};

std::string read_statement(const std::string& word) {
  return word == "-" ? read_stream(stdin, SqlOptions().max_statement_bytes) : word;
}

Result<SqlOptions> read_limits(const SqlCommand& options, LogAccess& log) {
  SqlOptions limits;
  const auto time = parse_duration(options.time_limit);
  if (!time) return Error{time.error().kind, "--time-limit: " + time.error().message};
  limits.time_limit = *time;
  const auto memory = parse_byte_count(options.memory);
  if (!memory) return Error{memory.error().kind, "--memory: " + memory.error().message};
  limits.memory = *memory;
  limits.utc = options.utc;
  limits.control = log.control();
  return limits;
}

struct ToAnswer {
  AnswerValue operator()(std::monostate) const { return std::monostate(); }
  AnswerValue operator()(std::int64_t number) const { return number; }
  AnswerValue operator()(double number) const { return number; }
  AnswerValue operator()(std::string_view text) const { return std::string(text); }
  AnswerValue operator()(const SqlBlob& blob) const {
    std::string text = "x'";
    for (const char byte : blob.bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return text + "'";
  }
};

// The words of a statement that is "DESCRIBE", "DESCRIBE log", "DESC log;"; none of another.
std::vector<std::string> describe_words(const std::string& statement) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : statement + " ") {
    if (std::isspace(static_cast<unsigned char>(c)) == 0 && c != ';') {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  return !words.empty() && (words[0] == "describe" || words[0] == "desc") ? words
                                                                          : std::vector<std::string>();
}

std::string_view sql_type_of(Field field) {
  switch (kind_of(field)) {
    case FieldKind::kNumber:
      return "INTEGER";
    case FieldKind::kTime:
      return "REAL";
    default:
      return "TEXT";
  }
}

int describe_flows(Shape shape) {
  AnswerPrinter answer(shape, screen());
  answer.begin({{"column"}, {"type"}});
  for (const Field field : flow_fields()) {
    if (!answer.row({std::string(flow_name(field)), std::string(sql_type_of(field))})) return kFailed;
  }
  return answer.finish({});
}

int describe_identity(Shape shape) {
  AnswerPrinter answer(shape, screen());
  answer.begin({{"column"}, {"type"}, {"meaning"}});
  constexpr std::array<std::array<const char*, 3>, 13> kColumns{
      {{"subscriber", "TEXT", "who, as the source names it: a user, else a MAC or DUID"},
       {"prefix", "TEXT", "what was assigned, with its length"},
       {"kind", "TEXT", "lease, delegation, session, neighbour, static or other"},
       {"netns", "TEXT", "the network namespace; NULL: all"},
       {"mac", "TEXT", "of the hardware"},
       {"host", "TEXT", "a host name"},
       {"source", "TEXT", "who told so: its URL"},
       {"id", "TEXT", "the source's own"},
       {"start_time", "REAL", "it was so from then on, in Unix seconds"},
       {"start_earliest", "REAL", "it may have been so since then"},
       {"end_time", "REAL", "it was so up to then; NULL: it is open"},
       {"end_latest", "REAL", "it may have been so up to then"},
       {"address", "TEXT", "prefix, where that is one address; else NULL"}}};
  for (const auto& [name, type, meaning] : kColumns) {
    if (!answer.row({std::string(name), std::string(type), std::string(meaning)})) return kFailed;
  }
  return answer.finish({});
}

int describe_table(Shape shape) {
  AnswerPrinter answer(shape, screen());
  answer.begin({{"column"}, {"type"}, {"unit"}, {"meaning"}});
  const auto row = [&](std::string_view name, std::string_view type, std::string_view unit,
                       std::string_view meaning) {
    return answer.row({std::string(name), std::string(type), std::string(unit), std::string(meaning)});
  };
  for (const FieldSpec& spec : session_fields()) {
    if (!row(spec.name, sql_type_of(spec.field), unit_of(spec.field), meaning_of(spec.field))) return kFailed;
  }
  if (!row(kTimeColumnName, "INTEGER", "Unix seconds", "end_time in whole seconds")) return kFailed;
  return answer.finish({});
}

int run_sql(const Global& global, const SqlCommand& options) {
  const auto shape = shape_of(global, options.log);
  if (!shape) return fail("sql", shape.error());
  const std::string statement = read_statement(options.statement);
  if (const std::vector<std::string> words = describe_words(statement); !words.empty()) {
    if (words.size() == 1 || (words.size() == 2 && words[1] == "log")) return describe_table(*shape);
    if (words.size() == 2 && words[1] == "flow") return describe_flows(*shape);
    if (words.size() == 2 && words[1] == "identity") return describe_identity(*shape);
    return fail(
        "sql", {ErrorKind::kUsage, "there are three tables: DESCRIBE log, DESCRIBE flow, DESCRIBE identity"});
  }
  const auto log = LogAccess::open(global);
  if (!log) return fail("sql", log.error());
  auto limits = read_limits(options, **log);
  if (!limits) return fail("sql", limits.error());
  // Who does not ask for names is not written down as one who does.
  std::optional<IdentityAccess> identity;
  limits->names = [&]() -> Result<SubscriberNames*> {
    if (!identity) identity = IdentityAccess::open(global);
    if (identity->names() == nullptr) return identity->error();
    return identity->names();
  };
  const auto session = (*log)->open_sql(*limits);
  if (!session) return fail("sql", session.error());

  AnswerPrinter answer(*shape, screen());
  bool taken = true;
  SqlSession::Consumer consumer;
  consumer.on_columns = [&](const std::vector<std::string>& names) {
    std::vector<AnswerColumn> columns;
    for (const std::string& name : names) columns.push_back({name});
    answer.begin(std::move(columns));
  };
  consumer.on_row = [&](std::span<const SqlValue> values) {
    std::vector<AnswerValue> row;
    for (const SqlValue& value : values) row.push_back(std::visit(ToAnswer(), value));
    (*log)->end_progress();
    taken = answer.row(std::move(row));
    return taken;
  };
  const auto result = (*session)->run(statement, consumer);
  (*log)->end_progress();
  if (!taken) return kFailed;
  if (!result) {
    if (Interrupt::asked()) return (*log)->interrupted("sql");
    return fail("sql", result.error());
  }
  if (identity) warn_of_damage("sql", *identity);
  return (*log)->finish("sql", answer, result->report);
}

}  // namespace

void add_sql(Commands& commands) {
  Command command = commands.add("sql", "Ask the table log with SQL (SELECT only)");
  const auto options = std::make_shared<SqlCommand>();
  command.argument("statement", options->statement, "STATEMENT",
                   "A SELECT, or DESCRIBE; - reads it from standard input", true);
  command.option("--time-limit", options->time_limit, "DURATION",
                 "End it after this time; 0s: never; default 10m");
  command.option("--memory", options->memory, "BYTES", "End it when SQLite needs more; default 192M");
  command.flag("--utc", options->utc, "date_trunc() and from_unixtime() in UTC");
  add_csv_option(command, options->log);
  command.footer(
      "DESCRIBE tells the columns of the table log: the fields of the records, and __time__: the end_time in "
      "whole Unix seconds.\n"
      "Counts and sums, for all or by addresses, ports, protocol, words and date_trunc(), answer over any "
      "time. "
      "Other\n"
      "GROUP BY, and ORDER BY of records, keep their rows in memory, up to --memory.\n"
      "A text beside a column means what it says: start_time >= 'yesterday', protocol = 'tcp'.\n"
      "Beside SQLite's functions: date_trunc(unit, time), in_prefix(ip, 'prefix'), to_unixtime(text), "
      "from_unixtime(time), subscriber(ip, time).\n"
      "Where there is a log of who had an address it is the table identity; DESCRIBE identity tells its "
      "columns.\n\n"
      "Examples:\n"
      "  natsessionctl sql \"SELECT pri_ip, sum(bytes_from_vpc) AS bytes FROM log WHERE pub_ip = "
      "'198.51.100.157'\n"
      "      AND __time__ >= 'yesterday 14:50' GROUP BY pri_ip ORDER BY bytes DESC\"\n"
      "  natsessionctl sql \"SELECT date_trunc('hour', __time__) AS hour, count(*) FROM log\n"
      "      WHERE in_prefix(pri_ip, '10.1.0.0/16') GROUP BY hour\"\n"
      "  natsessionctl --json sql - <statement.sql");
  command.run([options](const Global& global) { return run_sql(global, *options); });
}

}  // namespace natsession::ctl
