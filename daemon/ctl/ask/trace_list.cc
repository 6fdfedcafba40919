#include "ask/trace_list.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include <csv.h>
#include <fmt/format.h>

#include "ask/answer_printer.h"
#include "ask/log_options.h"
#include "ask/trace_text.h"
#include "net/protocol.h"
#include "query/time_text.h"
#include "words.h"

namespace natsession::ctl {
namespace {

Error wrong(std::string_view option, const std::string& message) {
  return {ErrorKind::kUsage, fmt::format("{}: {}", option, message)};
}

Result<std::uint16_t> read_port(std::string_view option, std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size()) return port;
  return wrong(option, fmt::format("'{}' is not a port: a number up to 65535", text));
}

Result<void> read_nat(const std::string& text, TraceQuestion& question) {
  if (text.empty()) return wrong("--nat", "which address and port? --nat 203.0.113.7:40123");
  const Endpoint end = split_endpoint(text);
  const auto address = IpAddress::parse(end.address);
  if (!address) return wrong("--nat", address.error().message);
  question.nat_ip = *address;
  if (end.port.empty()) return {};
  const auto port = read_port("--nat", end.port);
  if (!port) return port.error();
  question.nat_port = *port;
  return {};
}

Result<void> read_pub(const std::string& text, TraceQuestion& question) {
  if (text.empty()) return {};
  const Endpoint end = split_endpoint(text);
  if (!end.address.empty()) {
    const auto address = IpAddress::parse(end.address);
    if (!address) return wrong("--pub", address.error().message);
    question.pub_ip = *address;
  }
  if (!end.port.empty()) {
    const auto port = read_port("--pub", end.port);
    if (!port) return port.error();
    question.pub_port = *port;
  }
  return {};
}

// One time, which is not behind `latest`.
Result<TimeReading> read_past(std::string_view option, std::string_view text, UnixMs now, UnixMs latest) {
  const auto reading = parse_time_text(text, now);
  if (!reading) return wrong(option, reading.error().message);
  if (reading->time <= latest) return *reading;
  return wrong(option, fmt::format("'{}' is still to come: {}; now it is {}", text, describe(*reading),
                                   format_local_time(now)));
}

// The time of `asked`, which becomes two where the clocks showed it twice.
Result<void> read_when(const TraceWords& words, UnixMs now, std::vector<AskedQuestion>& asked) {
  const bool range = !words.since.empty() || !words.until.empty();
  TraceQuestion& question = asked.front().question;
  const UnixMs latest = now + question.slack;
  if (!words.at.empty() && range) return wrong("--at", "give one time, or --since and --until, not both");
  if (words.at.empty() && words.since.empty())
    return wrong("--at", "at what time? --at '2026-11-21 14:57:03', --at -2h, or --since and --until");
  const auto odd = [](std::string_view text, const TimeReading& reading, std::string_view taken) {
    if (reading.skipped) return fmt::format("'{}' is {}", text, describe(reading));
    return reading.again ? fmt::format("the clocks showed '{}' twice: {}", text, taken) : std::string();
  };
  if (!words.at.empty()) {
    const auto at = read_past("--at", words.at, now, latest);
    if (!at) return at.error();
    question.from = at->time;
    question.until = at->last();
    if (at->again) {
      asked.push_back(asked.front());
      asked.back().question.from += *at->again - at->time;
      asked.back().question.until += *at->again - at->time;
    }
    for (AskedQuestion& one : asked) {
      one.warning = odd(words.at, *at, "this is " + format_local_time(one.question.from));
    }
    return {};
  }
  const auto since = read_past("--since", words.since, now, latest);
  if (!since) return since.error();
  question.from = since->time;
  question.until = now;
  asked.front().warning = odd(words.since, *since, "from the first on");
  if (!words.until.empty()) {
    const auto until = read_past("--until", words.until, now, latest);
    if (!until) return until.error();
    question.until = until->again.value_or(until->time);
    const std::string warning = odd(words.until, *until, "to the second");
    if (!warning.empty()) asked.front().warning += (asked.front().warning.empty() ? "" : "; ") + warning;
  }
  if (question.from <= question.until) return {};
  return wrong("--until", fmt::format("{} is before --since, {}", format_local_time(question.until),
                                      format_local_time(question.from)));
}

constexpr std::array<std::string_view, 6> kUsualColumns{"nat_ip",   "nat_port", "time",
                                                        "protocol", "pub_ip",   "pub_port"};
constexpr std::array<std::string_view, 17> kAnswerColumns{
    "verdict",    "rank",      "pri_ip", "pri_port", "answer_protocol", "answer_nat_port",
    "peer",       "vpc_id",    "zone",   "instance", "netns",           "session_start",
    "first_seen", "last_seen", "why",    "more",     "warnings"};
using AnswerCells = std::array<std::string, kAnswerColumns.size()>;

// Of a question without a session.
AnswerCells no_session(std::string_view verdict, std::string why, std::string warnings) {
  AnswerCells cells;
  cells[0] = verdict;
  cells[14] = std::move(why);
  cells[16] = std::move(warnings);
  return cells;
}

AnswerCells cells_of(const TraceAnswer& answer, std::size_t rank, const TraceCandidate& candidate,
                     const std::string& warnings) {
  const SessionRecord& record = candidate.record;
  const Origin* const origin = record.origin;
  return {std::string(answer.word()),
          std::to_string(rank),
          record.pri_ip.to_string(),
          std::to_string(record.pri_port),
          protocol_text(record.protocol),
          std::to_string(record.nat_port),
          endpoint_text(record.pub_ip, record.pub_port),
          std::string(record.vpc_id),
          record.zone == 0 ? "" : std::to_string(record.zone),
          origin == nullptr ? "" : origin->instance,
          origin == nullptr ? "" : origin->netns,
          record.session_start ? format_local_rfc3339(*record.session_start) : "unknown",
          format_local_rfc3339(candidate.first_seen),
          format_local_rfc3339(candidate.last_seen),
          reasons_text(candidate),
          std::to_string(answer.more),
          warnings};
}

struct Row {
  std::vector<std::string> cells;
  std::uint64_t line = 0;
};

// What libcsv calls back.
struct Rows {
  std::vector<Row> rows;
  std::vector<std::string> cells;
  std::uint64_t line = 1;

  static void on_cell(void* bytes, std::size_t length, void* self) {
    static_cast<Rows*>(self)->cells.emplace_back(static_cast<const char*>(bytes), length);
  }
  static void on_line(int end, void* self) {
    auto& rows = *static_cast<Rows*>(self);
    if (!rows.cells.empty()) rows.rows.push_back({std::move(rows.cells), rows.line});
    rows.cells.clear();
    if (end != '\r') ++rows.line;
  }
};

Result<std::vector<Row>> read_rows(std::string_view csv) {
  csv_parser parser{};
  if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) != 0)
    return Error{ErrorKind::kIo, "--file: no memory"};
  Rows rows;
  const bool read =
      csv_parse(&parser, csv.data(), csv.size(), Rows::on_cell, Rows::on_line, &rows) == csv.size() &&
      csv_fini(&parser, Rows::on_cell, Rows::on_line, &rows) == 0;
  const std::string why = read ? "" : csv_strerror(csv_error(&parser));
  csv_free(&parser);
  if (read) return std::move(rows.rows);
  return Error{ErrorKind::kUsage, fmt::format("--file: line {} is not CSV: {}", rows.line, why)};
}

bool is_head(const Row& row) {
  return std::any_of(row.cells.begin(), row.cells.end(), [](const std::string& cell) {
    return cell == "nat" || cell == "time" ||
           std::find(kUsualColumns.begin(), kUsualColumns.end(), cell) != kUsualColumns.end();
  });
}

Result<void> check_head(const std::vector<std::string>& columns) {
  const auto has = [&](std::string_view name) { return std::count(columns.begin(), columns.end(), name); };
  for (const std::string_view name :
       {"nat", "nat_ip", "nat_port", "time", "protocol", "pub_ip", "pub_port"}) {
    if (has(name) > 1)
      return Error{ErrorKind::kUsage, fmt::format("--file: the first line has the column {} twice", name)};
  }
  if (has("nat_ip") + has("nat") == 0 || has("time") == 0) {
    return Error{ErrorKind::kUsage,
                 "--file: the first line names columns, but not both nat_ip (or nat) and time"};
  }
  return {};
}

TraceWords words_of(const std::vector<std::string>& columns, const std::vector<std::string>& cells) {
  std::map<std::string_view, std::string_view> values;
  for (std::size_t i = 0; i < std::min(columns.size(), cells.size()); ++i) values[columns[i]] = cells[i];
  const auto end = [&](std::string_view ip, std::string_view port) {
    const std::string address(values[ip]);
    if (values[port].empty()) return address;
    const bool bare_v6 = address.find(':') != std::string::npos && !address.starts_with('[');
    return fmt::format("{}:{}", bare_v6 ? "[" + address + "]" : address, values[port]);
  };
  TraceWords words;
  words.nat = values["nat"].empty() ? end("nat_ip", "nat_port") : std::string(values["nat"]);
  words.pub = end("pub_ip", "pub_port");
  words.protocol = values["protocol"];
  words.at = values["time"];
  return words;
}

void add_cell(std::string_view text, std::string& line) {
  if (!line.empty()) line += ',';
  append_csv(text, line);
}

std::string start_of_line(const std::vector<std::string>& cells, std::size_t columns) {
  std::string line;
  for (std::size_t i = 0; i < columns; ++i) {
    const std::string_view cell = i < cells.size() ? std::string_view(cells[i]) : std::string_view();
    if (i == 0 && cell.empty()) {
      line = "\"\"";  // an empty first cell, which still wants its comma
    } else {
      add_cell(cell, line);
    }
  }
  return line;
}

void add_line(std::string line, const AnswerCells& cells, std::string& out) {
  for (const std::string& cell : cells) add_cell(cell, line);
  out += line + "\n";
}

std::string warnings_of(const AskedQuestion& asked, const TraceAnswer& answer) {
  std::string text = asked.warning;
  for (const std::string& note :
       notes_of(answer.gaps, answer.gaps.size(), answer.troubles, answer.troubles.size())) {
    text += (text.empty() ? "" : "; ") + note;
  }
  return text;
}

}  // namespace

Result<std::vector<AskedQuestion>> read_question(const TraceWords& words, UnixMs now) {
  std::vector<AskedQuestion> asked(1);
  TraceQuestion& question = asked.front().question;
  if (auto read = read_nat(words.nat, question); !read) return read.error();
  if (auto read = read_pub(words.pub, question); !read) return read.error();
  if (!words.protocol.empty()) {
    const auto protocol = parse_protocol(words.protocol);
    if (!protocol) return wrong("--proto", protocol.error().message);
    question.protocol = *protocol;
  }
  if (!words.slack.empty()) {
    const auto slack = parse_duration(words.slack);
    if (!slack) return wrong("--slack", slack.error().message);
    question.slack = *slack;
  }
  if (auto read = read_when(words, now, asked); !read) return read.error();
  return asked;
}

std::string question_text(const TraceQuestion& question) {
  std::string text = question.nat_port ? endpoint_text(question.nat_ip, *question.nat_port)
                                       : question.nat_ip.to_string() + ", any port";
  if (question.protocol) text += " " + protocol_text(*question.protocol);
  if (question.pub_ip || question.pub_port) {
    text += " towards ";
    if (question.pub_ip && question.pub_port) {
      text += endpoint_text(*question.pub_ip, *question.pub_port);
    } else {
      text += question.pub_ip ? question.pub_ip->to_string() : fmt::format("port {}", *question.pub_port);
    }
  }
  return text;
}

std::string question_time_text(const TraceQuestion& question) {
  std::string text = format_local_time(question.from);
  if (question.until != question.from) text += " to " + format_local_time(question.until);
  return fmt::format("{}, give or take {}, zone {}", text, format_duration(question.slack),
                     local_zone_text(question.from));
}

Result<TraceList> read_trace_list(std::string_view csv, const std::string& slack, UnixMs now) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // as spreadsheets write it
  if (csv.starts_with(kByteOrderMark)) csv.remove_prefix(kByteOrderMark.size());
  auto rows = read_rows(csv);
  if (!rows) return rows.error();
  TraceList list;
  std::size_t first = 0;
  if (!rows->empty() && is_head(rows->front())) {
    list.columns = std::move(rows->front().cells);
    if (auto checked = check_head(list.columns); !checked) return checked.error();
    first = 1;
  } else {
    list.columns.assign(kUsualColumns.begin(), kUsualColumns.end());
  }
  if (rows->size() - first > kMaxTraceQuestions) {
    return Error{ErrorKind::kUsage, fmt::format("--file: {} questions; at most {} at once",
                                                rows->size() - first, kMaxTraceQuestions)};
  }
  for (std::size_t i = first; i < rows->size(); ++i) {
    ListedQuestion listed{std::move((*rows)[i].cells), (*rows)[i].line, {}, {}};
    TraceWords words = words_of(list.columns, listed.cells);
    words.slack = slack;
    auto asked = read_question(words, now);
    if (listed.cells.size() > list.columns.size()) {
      listed.wrong = fmt::format("{} values for {} columns", listed.cells.size(), list.columns.size());
    } else if (!asked) {
      listed.wrong = asked.error().message;
    } else {
      listed.asked = std::move(*asked);
    }
    list.questions.push_back(std::move(listed));
  }
  return list;
}

std::vector<TraceQuestion> questions_of(const TraceList& list) {
  std::vector<TraceQuestion> questions;
  for (const ListedQuestion& listed : list.questions) {
    for (const AskedQuestion& one : listed.asked) questions.push_back(one.question);
  }
  return questions;
}

std::string trace_list_csv(const TraceList& list, const TraceResult& result) {
  std::string head;
  for (const std::string& column : list.columns) add_cell(column, head);
  for (const std::string_view column : kAnswerColumns) add_cell(column, head);
  std::string out = head + "\n";
  std::size_t asked = 0;
  for (const ListedQuestion& listed : list.questions) {
    const std::string start = start_of_line(listed.cells, list.columns.size());
    if (!listed.wrong.empty()) add_line(start, no_session(kBadQuestion, listed.wrong, ""), out);
    for (const AskedQuestion& one : listed.asked) {
      const TraceAnswer& answer = result.answers[asked++];
      const std::string warnings = warnings_of(one, answer);
      if (answer.candidates.empty()) {
        add_line(start, no_session(answer.word(), verdict_text(answer), warnings), out);
      }
      std::size_t rank = 0;
      for (const TraceCandidate& candidate : answer.candidates) {
        add_line(start, cells_of(answer, ++rank, candidate, warnings), out);
      }
    }
  }
  return out;
}

}  // namespace natsession::ctl
