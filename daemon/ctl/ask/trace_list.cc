#include "ask/trace_list.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

#include <fmt/format.h>

#include "ask/answer_printer.h"
#include "ask/csv_table.h"
#include "ask/log_options.h"
#include "ask/trace_text.h"
#include "net/protocol.h"
#include "query/time_text.h"
#include "words.h"

namespace natsession::ctl {
namespace {

constexpr std::array<std::string_view, 6> kUsualColumns{"nat_ip",   "nat_port", "time",
                                                        "protocol", "pub_ip",   "pub_port"};
constexpr std::array<std::string_view, 19> kAnswerColumns{
    "verdict", "rank", "pri_ip",   "pri_port", "answer_protocol", "answer_nat_port", "peer",
    "vpc_id",  "zone", "instance", "netns",    "session_start",   "first_seen",      "last_seen",
    "why",     "sure", "against",  "more",     "warnings"};
using AnswerCells = std::array<std::string, kAnswerColumns.size()>;
constexpr std::array<std::string_view, 6> kNameColumns{"subscriber",        "subscriber_verdict",
                                                       "subscriber_source", "subscriber_from",
                                                       "subscriber_until",  "subscriber_why"};

// Of a question without a session.
AnswerCells no_session(std::string_view verdict, std::string why, std::string against, std::string warnings) {
  AnswerCells cells;
  cells[0] = verdict;
  cells[14] = std::move(why);
  cells[16] = std::move(against);
  cells[18] = std::move(warnings);
  return cells;
}

AnswerCells cells_of(const TraceAnswer& answer, std::size_t rank, const TraceCandidate& candidate,
                     const TraceSummary& summary, const std::string& warnings) {
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
          joined(candidate.reasons()),
          summary.sure,
          joined(summary.against),
          std::to_string(answer.more),
          warnings};
}

// What a column of a list is to a question.
enum class Role : std::uint8_t {
  kNat,
  kNatIp,
  kNatPort,
  kTime,
  kDate,
  kTimeZone,
  kProtocol,
  kPubIp,
  kPubPort,
  kNone
};

struct RoleNames {
  Role role;
  std::string_view own;                           // as in kUsualColumns, and in messages
  std::initializer_list<std::string_view> usual;  // in small letters, without what is between words
};
// The source of a complaint is the translated end here, and its destination the peer.
const RoleNames kRoles[] = {
    {Role::kNat, "nat", {"endpoint", "ipport", "source"}},
    {Role::kNatIp,
     "nat_ip",
     {"ip", "ipaddress", "address", "ipaddr", "sourceip", "sourceipaddress", "sourceaddress", "srcip",
      "srcaddr", "publicip", "publicipaddress", "externalip", "natip", "offendingip", "attackerip",
      "clientip", "remoteip"}},
    {Role::kNatPort,
     "nat_port",
     {"port", "sourceport", "srcport", "sport", "publicport", "externalport", "natport", "clientport",
      "remoteport"}},
    {Role::kTime,
     "time",
     {"timestamp", "datetime", "dateandtime", "eventtime", "when", "at", "timeutc", "timestamputc"}},
    {Role::kDate, "date", {"day", "eventdate"}},
    {Role::kTimeZone, "timezone", {"tz", "utcoffset", "gmtoffset"}},
    {Role::kProtocol, "protocol", {"proto", "ipprotocol", "transport"}},
    {Role::kPubIp,
     "pub_ip",
     {"destinationip", "destinationipaddress", "destinationaddress", "dstip", "dstaddr", "destip", "targetip",
      "serverip", "peerip"}},
    {Role::kPubPort,
     "pub_port",
     {"destinationport", "dstport", "dport", "destport", "targetport", "serverport", "peerport"}},
};

std::string_view own_name(Role role) {
  for (const RoleNames& names : kRoles) {
    if (names.role == role) return names.own;
  }
  return "";
}

// "Source IP" and "source_ip": sourceip.
std::string bare(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) text += static_cast<char>(std::tolower(byte));
  }
  return text;
}

Role role_of(std::string_view column) {
  const std::string name = bare(column);
  for (const RoleNames& names : kRoles) {
    if (name == bare(names.own)) return names.role;
    if (std::find(names.usual.begin(), names.usual.end(), name) != names.usual.end()) return names.role;
  }
  return Role::kNone;
}

bool is_head(const CsvTable::Row& row) {
  const auto any = [&](auto accept) { return std::any_of(row.cells.begin(), row.cells.end(), accept); };
  return any([](const std::string& cell) { return role_of(cell) != Role::kNone; }) &&
         !any([](const std::string& cell) {
           return IpAddress::parse(split_endpoint(cell).address).has_value();
         });
}

// The column of each role. One that is named as this program names it goes before others of its role.
Result<std::map<Role, std::size_t>> roles_of(const std::vector<std::string>& columns) {
  std::map<Role, std::size_t> places;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Role role = role_of(columns[i]);
    if (role == Role::kNone) continue;
    const auto [found, fresh] = places.emplace(role, i);
    if (fresh) continue;
    const auto is_own = [&](std::size_t at) { return bare(columns[at]) == bare(own_name(role)); };
    if (is_own(found->second) == is_own(i)) {
      return Error{ErrorKind::kUsage,
                   fmt::format("--file: the columns '{}' and '{}' of the first line both say {}: rename one",
                               columns[found->second], columns[i], own_name(role))};
    }
    if (is_own(i)) found->second = i;
  }
  const auto has = [&](Role role) { return places.contains(role); };
  if ((has(Role::kNatIp) || has(Role::kNat)) && (has(Role::kTime) || has(Role::kDate))) return places;
  return Error{
      ErrorKind::kUsage,
      "--file: the first line names columns, but not both nat_ip (or nat, Source IP, IP ...) and time (or "
      "Timestamp, Date ...)"};
}

struct Head {
  const std::vector<std::string>& columns;
  const std::map<Role, std::size_t>& places;

  [[nodiscard]] std::string cell(Role role, const std::vector<std::string>& cells) const {
    const auto found = places.find(role);
    return found == places.end() || found->second >= cells.size() ? "" : cells[found->second];
  }
  // The first of them that there is.
  [[nodiscard]] std::string label(std::initializer_list<Role> roles) const {
    for (const Role role : roles) {
      if (const auto found = places.find(role); found != places.end())
        return fmt::format("column {} ({})", found->second + 1, columns[found->second]);
    }
    return "";
  }
  [[nodiscard]] TraceLabels labels() const {
    return {label({Role::kNat, Role::kNatIp}),
            label({Role::kPubIp, Role::kPubPort}),
            label({Role::kProtocol}),
            label({Role::kTime, Role::kDate}),
            label({Role::kNatPort, Role::kNat}),
            label({Role::kPubPort, Role::kPubIp})};
  }
  [[nodiscard]] TraceWords words(const std::vector<std::string>& cells) const {
    const auto end = [&](Role ip, Role port) {
      const std::string number = cell(port, cells);
      if (cell(ip, cells).empty()) return number.empty() ? "" : ":" + number;
      return cell(ip, cells) + (number.empty() ? "" : " port " + number);
    };
    TraceWords words;
    words.nat = cell(Role::kNat, cells);
    if (words.nat.empty()) words.nat = end(Role::kNatIp, Role::kNatPort);
    words.pub = end(Role::kPubIp, Role::kPubPort);
    words.protocol = cell(Role::kProtocol, cells);
    for (const Role role : {Role::kDate, Role::kTime, Role::kTimeZone}) {
      const std::string part = cell(role, cells);
      if (!part.empty()) words.at += (words.at.empty() ? "" : " ") + part;
    }
    return words;
  }
};

void add_cell(std::string_view text, char delimiter, std::string& line) {
  if (!line.empty()) line += delimiter;
  std::string cell;
  append_csv(text, cell);
  const bool quoted = cell.starts_with('"') || cell.find(delimiter) == std::string::npos;
  if (!quoted) cell.insert(0, 1, '"').push_back('"');
  line += cell;
}

std::string start_of_line(const std::vector<std::string>& cells, std::size_t columns, char delimiter) {
  std::string line;
  for (std::size_t i = 0; i < columns; ++i) {
    const std::string_view cell = i < cells.size() ? std::string_view(cells[i]) : std::string_view();
    if (i == 0 && cell.empty()) {
      line = "\"\"";  // an empty first cell, which still wants its delimiter
    } else {
      add_cell(cell, delimiter, line);
    }
  }
  return line;
}

// `of`: null of a line without a session, or where nobody may see.
void add_line(std::string line, char delimiter, const AnswerCells& cells, const TraceNames& names,
              const IdentityAnswer* of, std::string& out) {
  for (const std::string& cell : cells) add_cell(cell, delimiter, line);
  if (!names.absent()) {
    SubscriberCells said;
    if (of != nullptr) said = subscriber_cells(*of);
    if (!names.hidden.empty()) said.verdict = "not shown", said.why = names.hidden;
    for (const std::string& cell :
         {said.subscriber, said.verdict, said.source, said.from, said.until, said.why})
      add_cell(cell, delimiter, line);
  }
  out += line + "\n";
}

std::string warnings_of(const AskedQuestion& asked, const TraceAnswer& answer) {
  std::string text = asked.warning;
  for (const std::string& note :
       notes_of(answer.gaps, answer.gap_count(), answer.troubles, answer.troubles.size())) {
    text += (text.empty() ? "" : "; ") + note;
  }
  return text;
}

}  // namespace

Result<TraceList> read_trace_list(std::string_view csv, const TraceWords& common, UnixMs now) {
  auto table = read_csv_table(csv);
  if (!table) return table.error();
  std::vector<CsvTable::Row>& rows = table->rows;
  TraceList list;
  list.delimiter = table->delimiter;
  std::size_t first = 0;
  if (!rows.empty() && is_head(rows.front())) {
    list.columns = std::move(rows.front().cells);
    first = 1;
  } else {
    list.columns.assign(kUsualColumns.begin(), kUsualColumns.end());
  }
  const auto places = roles_of(list.columns);
  if (!places) return places.error();
  if (rows.size() - first > kMaxTraceQuestions) {
    return Error{ErrorKind::kUsage, fmt::format("--file: {} questions; at most {} at once",
                                                rows.size() - first, kMaxTraceQuestions)};
  }
  const Head head{list.columns, *places};
  const TraceLabels labels = head.labels();
  for (std::size_t i = first; i < rows.size(); ++i) {
    ListedQuestion listed{std::move(rows[i].cells), rows[i].line, {}, {}};
    // Spreadsheets fill rows up.
    while (listed.cells.size() > list.columns.size() && listed.cells.back().empty()) listed.cells.pop_back();
    TraceWords words = head.words(listed.cells);
    words.slack = common.slack;
    words.netns = common.netns;
    auto asked = read_question(words, now, labels);
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

TraceNames trace_names(const IdentityAccess& access, const std::vector<TraceQuestion>& questions,
                       const TraceResult& result) {
  TraceNames names;
  names.hidden = access.hidden();
  if (access.names() == nullptr) return names;
  for (std::size_t i = 0; i < result.answers.size(); ++i) {
    auto& of = names.of.emplace_back();
    for (const TraceCandidate& candidate : result.answers[i].candidates) {
      const SessionRecord& record = candidate.record;
      const UnixMs seen = record.session_start.value_or(candidate.first_seen);
      const UnixMs earliest = record.session_start.value_or(candidate.maybe_from.value_or(seen));
      const std::string_view netns = record.origin == nullptr ? std::string_view() : record.origin->netns;
      of.push_back(access.names()->of_session(record.pri_ip, netns, earliest, seen, questions[i].slack));
    }
  }
  return names;
}

std::string trace_list_csv(const TraceList& list, const TraceResult& result, const TraceNames& names) {
  std::string head;
  for (const std::string& column : list.columns) add_cell(column, list.delimiter, head);
  for (const std::string_view column : kAnswerColumns) add_cell(column, list.delimiter, head);
  for (const std::string_view column : kNameColumns) {
    if (!names.absent()) add_cell(column, list.delimiter, head);
  }
  std::string out = head + "\n";
  std::size_t asked = 0;
  for (const ListedQuestion& listed : list.questions) {
    const std::string start = start_of_line(listed.cells, list.columns.size(), list.delimiter);
    if (!listed.wrong.empty())
      add_line(start, list.delimiter, no_session(kBadQuestion, listed.wrong, "", ""), names, nullptr, out);
    for (const AskedQuestion& one : listed.asked) {
      const TraceAnswer& answer = result.answers[asked];
      const std::string warnings = warnings_of(one, answer);
      const TraceSummary summary = summary_of(one.question, answer, result.span);
      if (answer.candidates.empty()) {
        add_line(start, list.delimiter,
                 no_session(answer.word(), summary.sure, joined(summary.against), warnings), names, nullptr,
                 out);
      }
      std::size_t rank = 0;
      for (const TraceCandidate& candidate : answer.candidates) {
        const IdentityAnswer* const of = names.at(asked, rank);
        add_line(start, list.delimiter, cells_of(answer, ++rank, candidate, summary, warnings), names, of,
                 out);
      }
      ++asked;
    }
  }
  return out;
}

}  // namespace natsession::ctl
