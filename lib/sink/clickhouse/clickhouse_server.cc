#include "sink/clickhouse/clickhouse_server.h"

#include <algorithm>
#include <charconv>

#include "sink/clickhouse/clickhouse_coverage.h"

namespace natsession::clickhouse {
namespace {

using Kind = HttpVerdict::Kind;

// TabSeparated's escapes.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      plain += text[i];
      continue;
    }
    const char next = text[++i];
    plain += next == 't' ? '\t' : next == 'n' ? '\n' : next;
  }
  return plain;
}

std::vector<std::vector<std::string>> lines_of(std::string_view body) {
  std::vector<std::vector<std::string>> lines;
  while (!body.empty()) {
    std::string_view line = body.substr(0, body.find('\n'));
    body.remove_prefix(std::min(body.size(), line.size() + 1));
    auto& values = lines.emplace_back();
    while (true) {
      const std::size_t tab = line.find('\t');
      values.push_back(unescaped(line.substr(0, tab)));
      if (tab == std::string_view::npos) break;
      line.remove_prefix(tab + 1);
    }
  }
  return lines;
}

constexpr std::size_t kMostAnswerBytes = 32 << 20;

// As far as an answer goes beyond one request.
Answer failure_of(HttpVerdict verdict, std::string why) {
  if (verdict.kind == Kind::kAnswer) return std::move(verdict.answer);
  return Answer::retry_later(0, std::move(why));
}

// Whether a table has these columns, with the bytes that are theirs; else why not.
std::optional<Answer> look_at_columns(HttpClient& client, const Place& place,
                                      std::span<const NamedColumn> wanted, bool identified, TableLook& look) {
  const std::string name = place.quoted();
  std::optional<Answer> failure;
  const auto described =
      ask(client, place, "DESCRIBE TABLE " + name + " FORMAT TabSeparated", identified, failure);
  if (!described) return failure;
  const auto wrong = [&](const std::string& what) {
    return Answer::target_failed(0, TargetCode::kLogStoreNotExist,
                                 "the table " + name + " at " + place.http.url + " " + what +
                                     "; natsessionctl clickhouse-schema says how to make it");
  };
  constexpr std::size_t kTypeAt = 1;
  constexpr std::size_t kExpiryAt = 6;  // of servers that know that
  for (const NamedColumn& column : wanted) {
    const auto found = std::find_if(described->begin(), described->end(),
                                    [&](const auto& line) { return line[0] == column.name; });
    if (found == described->end()) return wrong("has no column " + std::string(column.name));
    const std::string type = found->size() > kTypeAt ? (*found)[kTypeAt] : std::string();
    if (!is_type_of(column.kind, type)) {
      return wrong("has a column " + std::string(column.name) + " of type " + type.substr(0, 60) + ", not " +
                   std::string(types_of(column.kind)));
    }
    look.types.push_back(type);
    if (found->size() > kExpiryAt && !(*found)[kExpiryAt].empty() && look.expiring.empty())
      look.expiring = column.name;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Answer> look_at_coverage(HttpClient& client, const Place& place, bool identified) {
  TableLook look;
  Place there = place;
  there.table = coverage_table(place.table);
  return look_at_columns(client, there, coverage_columns(), identified, look);
}

Result<Place> Place::parse(const SinkUrl& url) {
  const std::size_t slash = url.target.starts_with("//") ? url.target.find('/', 2) : std::string::npos;
  SinkUrl server = url;
  server.target = url.target.substr(0, slash);
  const bool tls = url.scheme.ends_with("+https");
  auto http = HttpSettings::parse(server, tls ? "https" : "http", tls ? kTlsPort : kPort);
  if (!http) return http.error();
  Place place;
  place.http = std::move(*http);
  place.http.url = place.http.origin + "/";
  place.compress_given = std::any_of(url.options.begin(), url.options.end(),
                                     [](const auto& given) { return given.key == "compress"; });
  const std::string names = slash == std::string::npos ? std::string() : url.target.substr(slash + 1);
  const std::size_t between = names.find('/');
  place.database = names.substr(0, between);
  if (between != std::string::npos) place.table = names.substr(between + 1);
  if (place.database.empty()) return url.wrong("it names no database: write HOST/DATABASE/TABLE");
  if (place.table.empty()) return url.wrong("it names no table: write HOST/DATABASE/TABLE");
  if (place.table.find('/') != std::string::npos)
    return url.wrong("it has more than a database and a table: write HOST/DATABASE/TABLE");
  return place;
}

std::string Place::url_of(std::string_view statement, std::string_view settings) const {
  return http.url + "?query=" + percent_encoded(statement) + std::string(settings);
}

unsigned error_number(const HttpReply& reply) {
  const auto number_at = [](std::string_view text) {
    unsigned number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
  };
  if (const unsigned number = number_at(reply.header("x-clickhouse-exception-code")); number != 0)
    return number;
  static constexpr std::string_view kBegin = "Code: ";
  const std::string_view body = reply.body;
  return body.starts_with(kBegin) ? number_at(body.substr(kBegin.size())) : 0;
}

HttpVerdict judge_answer(const HttpReply& reply, bool identified, std::string why) {
  const auto failed = [&](TargetCode code) {
    return HttpVerdict::of(Answer::target_failed(0, code, std::move(why)));
  };
  const auto throttled = [&](TargetCode code) {
    return HttpVerdict::of(Answer::throttled(0, code, std::move(why), reply.retry_after));
  };
  switch (error_number(reply)) {
    case 0:
      break;
    case 81:  // UNKNOWN_DATABASE
      return failed(TargetCode::kProjectNotExist);
    case 60:   // UNKNOWN_TABLE
    case 218:  // TABLE_IS_DROPPED
    case 8:    // THERE_IS_NO_COLUMN
    case 16:   // NO_SUCH_COLUMN_IN_TABLE
    case 47:   // UNKNOWN_IDENTIFIER
      return failed(TargetCode::kLogStoreNotExist);
    case 192:  // UNKNOWN_USER
    case 193:  // WRONG_PASSWORD
    case 194:  // REQUIRED_PASSWORD
    case 516:  // AUTHENTICATION_FAILED
      return failed(TargetCode::kInvalidAccessKeyId);
    case 195:  // IP_ADDRESS_NOT_ALLOWED
    case 291:  // DATABASE_ACCESS_DENIED
    case 497:  // ACCESS_DENIED
    case 512:  // SET_NON_GRANTED_ROLE
      return failed(TargetCode::kUnauthorized);
    case 164:  // READONLY
    case 36:   // BAD_ARGUMENTS; these say that what we ask is nothing that this server is ever going to do
    case 62:   // SYNTAX_ERROR
    case 73:   // UNKNOWN_FORMAT
    case 115:  // UNKNOWN_SETTING
    case 381:  // HTTP_LENGTH_REQUIRED
    case 452:  // SETTING_CONSTRAINT_VIOLATION
      return failed(TargetCode::kProjectForbidden);
    case 201:  // QUOTA_EXCEEDED
    case 202:  // TOO_MANY_SIMULTANEOUS_QUERIES
    case 203:  // NO_FREE_CONNECTION
    case 243:  // NOT_ENOUGH_SPACE
      return throttled(TargetCode::kWriteQuotaExceed);
    case 252:  // TOO_MANY_PARTS; also: one batch has records of more days than may be
      if (reply.body.find("partitions for single INSERT block") != std::string::npos) return {Kind::kTooMuch};
      return throttled(TargetCode::kShardWriteQuotaExceed);
    case 229:  // QUERY_IS_TOO_LARGE
      return {Kind::kTooMuch};
    case 6:    // CANNOT_PARSE_TEXT
    case 26:   // CANNOT_PARSE_QUOTED_STRING
    case 27:   // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    case 33:   // CANNOT_READ_ALL_DATA
    case 38:   // CANNOT_PARSE_DATE
    case 41:   // CANNOT_PARSE_DATETIME
    case 53:   // TYPE_MISMATCH
    case 70:   // CANNOT_CONVERT_TYPE
    case 72:   // CANNOT_PARSE_NUMBER
    case 117:  // INCORRECT_DATA
    case 321:  // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    case 349:  // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
      return {Kind::kBadRecord};
    default:  // what passes: memory, time, network, replicas, Keeper; and what a newer server made up
      return HttpVerdict::of(Answer::retry_later(0, std::move(why)));
  }
  HttpVerdict verdict = judge_by_status(reply, identified, why);
  // No ClickHouse says that a record is bad without a number.
  if (verdict.kind == Kind::kBadRecord) return HttpVerdict::of(Answer::retry_later(0, std::move(why)));
  return verdict;
}

std::optional<std::vector<std::vector<std::string>>> ask(HttpClient& client, const Place& place,
                                                         std::string_view statement, bool identified,
                                                         std::optional<Answer>& failure) {
  HttpRequest request;
  request.method = HttpRequest::Method::kGet;
  request.url = place.url_of(statement);
  std::string body;
  request.on_body = [&body](std::string_view part) {
    body += part;
    return body.size() <= kMostAnswerBytes;
  };
  HttpReply reply = client.send(request);
  // An error may stand there as well: its head was out before it came.
  constexpr std::size_t kShown = 4096;
  if (body.starts_with("Code: ")) reply.body = body.substr(0, kShown);
  const std::string why = reply.told("ask " + place.http.url + " about " + place.quoted());
  HttpVerdict verdict = judge_answer(reply, identified, why);
  if (verdict.kind == Kind::kTaken) return lines_of(body);
  failure = failure_of(std::move(verdict), why);
  return std::nullopt;
}

TableLook look_at(HttpClient& client, const Place& place, bool identified) {
  TableLook look;
  std::vector<NamedColumn> wanted;
  for (const Column& column : columns()) wanted.push_back({column.name, column.kind});
  look.failure = look_at_columns(client, place, wanted, identified, look);
  if (look.failure) return look;
  // Who may not see them gets no token: the server then knows a batch by its content, if at all.
  std::optional<Answer> unseen;
  const auto settings = ask(client, place,
                            "SELECT name FROM system.settings WHERE name IN ('insert_deduplication_token', "
                            "'async_insert') FORMAT TabSeparated",
                            identified, unseen);
  if (unseen && unseen->kind == Answer::Kind::kRetryLater) {
    look.failure = std::move(unseen);
    return look;
  }
  if (!settings) return look;
  for (const auto& line : *settings) {
    look.takes_tokens = look.takes_tokens || line[0] == "insert_deduplication_token";
    look.has_async = look.has_async || line[0] == "async_insert";
  }
  return look;
}

}  // namespace natsession::clickhouse
