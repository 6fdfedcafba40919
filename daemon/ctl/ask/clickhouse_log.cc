#include "ask/clickhouse_log.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "ledger/frame.h"

namespace natsession::ctl {
namespace {

using clickhouse::Column;
using clickhouse::ColumnKind;

// A question may take long; what is silent for so long is not there.
constexpr std::chrono::minutes kUsualTimeout{5};

struct StoreSettings {
  std::chrono::milliseconds window{};  // zero: not given
  std::string instances;
};

std::span<const Option<StoreSettings>> store_options() {
  static const Option<StoreSettings> kTable[] = {
      {"window", "TIME", "the longest --window of the boxes",
       time_option(&StoreSettings::window, {std::chrono::seconds(1), std::chrono::hours(24)})},
      {"instance", "NAME,…", "ask about these boxes alone", text_option(&StoreSettings::instances)},
  };
  return kTable;
}

// Errors: kUsage for one that there is not.
Result<void> check_options(const SinkUrl& url, bool tls) {
  std::vector<SinkOption> known = joined(explain(http_options()), explain(store_options()));
  if (tls) known = joined(std::move(known), explain(tls_options()));
  for (const SinkUrl::Option& given : url.options) {
    if (std::any_of(known.begin(), known.end(), [&](const SinkOption& one) { return one.key == given.key; }))
      continue;
    if (is_secret_key(given.key))
      return url.wrong("the option '" + given.key + "' " + std::string(kWhyNoSecrets));
    std::string names;
    for (const SinkOption& one : known) names += (names.empty() ? "" : ", ") + std::string(one.key);
    return url.wrong("unknown option '" + given.key + "': a store has " + names);
  }
  return {};
}

Error told(const Answer& answer) {
  const bool code = answer.kind == Answer::Kind::kTargetFailed;
  const bool denied =
      code && (answer.code == TargetCode::kUnauthorized || answer.code == TargetCode::kInvalidAccessKeyId);
  return {denied ? ErrorKind::kPermission : ErrorKind::kUnavailable,
          (code ? std::string(to_string(answer.code)) + ": " : "") + answer.why};
}

std::string joined_by(std::string_view word, const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : std::string(word)) + part;
  return parts.empty() ? "1" : "(" + text + ")";
}

// What a read needs of a record, whatever it is about: its place, its name, and what a gap record tells.
constexpr Columns kAlways{Field::kEvent,  Field::kStartTime, Field::kEndTime, Field::kSessionId, Field::kSeq,
                          Field::kReason, Field::kInstance,  Field::kNetns,   Field::kEventsLost};

// Those that `query` wants to see.
std::vector<const Column*> wanted_columns(const Query& query) {
  Columns fields = query.columns;
  fields.add(kAlways);
  for (const FieldTest& test : query.where) fields.add(test.field);
  // Whether there is one is told by both.
  if (fields.has_any({Field::kOrigDstIp, Field::kOrigDstPort}))
    fields.add({Field::kOrigDstIp, Field::kOrigDstPort});
  // A frame has it from the others.
  const bool all = query.whole || query.columns.has(Field::kSessionId);
  std::vector<const Column*> wanted;
  for (const Column& column : clickhouse::columns()) {
    if (all || fields.has(column.field)) wanted.push_back(&column);
  }
  return wanted;
}

// Whether ClickHouseLog::condition() is all of the test: of a field that each session's record has, in which
// 0 and :: are values like others.
bool has_exact_condition(const FieldTest& test) {
  static constexpr Columns kAlwaysThere{Field::kInstance, Field::kNetns,   Field::kVpcId, Field::kProtocol,
                                        Field::kPriIp,    Field::kPriPort, Field::kPubIp, Field::kPubPort,
                                        Field::kNatIp,    Field::kNatPort, Field::kEvent};
  static const IpAddress kFirst4 = *IpAddress::parse("0.0.0.0");
  // An IPv6 prefix has no IPv4 addresses, which stand within IPv6's in the table.
  const auto has_both = [](const Prefix& prefix) {
    return !prefix.lowest().is_v4() && prefix.lowest() < kFirst4 && prefix.highest() > kFirst4;
  };
  return kAlwaysThere.has(test.field) && !test.bound &&
         std::none_of(test.prefixes.begin(), test.prefixes.end(), has_both);
}

UnixMs shifted(UnixMs time, std::chrono::milliseconds by) {
  const std::int64_t ms = time.time_since_epoch().count();
  constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max() / 2;
  return UnixMs(std::chrono::milliseconds(std::clamp(ms, -kFar, kFar)) + by);
}

std::vector<std::string> split(std::string_view text, char between) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(between));
    if (!part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(text.size(), part.size() + 1));
  }
  return parts;
}

bool take_number(const std::string& text, std::int64_t& value) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

// How long a table with this engine keeps records: 0 for ever; nothing where it is not said in words that are
// known here.
std::optional<std::chrono::hours> kept_for(std::string_view engine) {
  const std::size_t at = engine.find(" TTL ");
  if (at == std::string_view::npos) return std::chrono::hours(0);
  std::string_view rule = engine.substr(at + 5);
  rule = rule.substr(0, rule.find(" SETTINGS "));
  for (const auto& [begin, end] :
       {std::pair<std::string_view, std::string_view>{"toDateTime(end_time) + toIntervalDay(", ")"},
        {"toDateTime(end_time) + INTERVAL ", " DAY"}}) {
    std::int64_t days = 0;
    if (rule.starts_with(begin) && rule.ends_with(end) &&
        take_number(std::string(rule.substr(begin.size(), rule.size() - begin.size() - end.size())), days) &&
        days > 0 && days < 100'000)
      return std::chrono::hours(24 * days);
  }
  return std::nullopt;
}

// Times as columns of ClickHouse have them: years 1900 to 2299.
constexpr std::int64_t kEarliest = -2'208'988'800'000;
constexpr std::int64_t kLatest = 10'413'791'999'999;

}  // namespace

Result<std::unique_ptr<HttpClient>> ClickHouseLog::connect(bool& identified) const {
  const auto secrets = HttpSecrets::read(place_.http);
  if (!secrets) return secrets.error();
  identified = secrets->identify() || !place_.http.tls.cert_file.empty();
  return HttpClient::create(place_.http, *secrets);
}

Result<std::unique_ptr<ClickHouseLog>> ClickHouseLog::open(std::string_view text) {
  const auto url = SinkUrl::parse(text);
  if (!url) return url.error();
  const bool tls = url->scheme == "clickhouse+https";
  if (!tls && url->scheme != "clickhouse")
    return url->wrong("a store is clickhouse://HOST[:8123]/DATABASE/TABLE or clickhouse+https://…");
  if (auto checked = check_options(*url, tls); !checked) return checked.error();
  StoreSettings settings;
  if (auto read = read_options(*url, store_options(), settings); !read) return read.error();
  auto place = clickhouse::Place::parse(*url);
  if (!place) return place.error();
  std::unique_ptr<ClickHouseLog> log(new ClickHouseLog());  // NOLINT: a private constructor
  log->place_ = std::move(*place);
  log->instances_ = split(settings.instances, ',');
  if (settings.window > std::chrono::milliseconds(0)) log->window_ = settings.window;
  if (std::none_of(url->options.begin(), url->options.end(),
                   [](const auto& given) { return given.key == "timeout"; }))
    log->place_.http.timeout = kUsualTimeout;
  bool identified = false;
  const auto client = log->connect(identified);
  if (!client) return client.error();
  const clickhouse::TableLook look = clickhouse::look_at(**client, log->place_, identified);
  if (look.failure) return told(*look.failure);
  const auto at = std::find_if(clickhouse::columns().begin(), clickhouse::columns().end(),
                               [](const Column& column) { return column.field == Field::kEndTime; });
  log->modern_ =
      look.types[static_cast<std::size_t>(at - clickhouse::columns().begin())].starts_with("DateTime64");
  // What is proved before the records: there may be more of these by then, not less.
  const Server server{**client, identified};
  UnixMs kept_since = UnixMs::min();
  auto told = look.expiring.empty()
                  ? log->look_at_coverage(server, kept_since)
                  : Error{ErrorKind::kUnavailable, "its column " + look.expiring + " is emptied by age"};
  const auto boxes = log->look_at_boxes(server);
  if (!boxes) return boxes.error();
  if (told) {
    log->believe(std::move(*told), *boxes, kept_since);
  } else {
    log->why_unproved_ = "the table " + log->place_.quoted() +
                         " does not tell when all sessions were logged: " + told.error().message;
  }
  if (settings.window == std::chrono::milliseconds(0)) {
    for (const Coverage& one : log->coverage_) log->window_ = std::max(log->window_, one.conditions.window);
  }
  if (auto looked = log->look_at_span(server, *boxes); !looked) return looked.error();
  return log;
}

// Errors: the server's, or that there is no such answer.
Result<ClickHouseLog::Lines> ClickHouseLog::ask(const Server& server, const std::string& statement) const {
  std::optional<Answer> failure;
  auto lines =
      clickhouse::ask(server.client, place_, statement + " FORMAT TabSeparated", server.identified, failure);
  if (!lines) return told(*failure);
  return std::move(*lines);
}

// Of the boxes that are asked about, as SQL.
std::string ClickHouseLog::of_boxes() const {
  std::string names;
  for (const std::string& one : instances_)
    names += (names.empty() ? "" : ", ") + clickhouse::quoted_text(one);
  return names.empty() ? "1" : "instance IN (" + names + ")";
}

Result<ClickHouseLog::Boxes> ClickHouseLog::look_at_boxes(const Server& server) const {
  const auto ms = [this](const std::string& time) {
    return modern_ ? "toUnixTimestamp64Milli(" + time + ")" : "toInt64(" + time + ")";
  };
  const auto lines =
      ask(server, "SELECT instance, count(), " + ms("min(end_time)") + ", " + ms("max(end_time)") + " FROM " +
                      place_.quoted() + " WHERE " + of_boxes() + " GROUP BY instance");
  if (!lines) return lines.error();
  Boxes boxes;
  for (const auto& line : *lines) {
    std::int64_t records = 0;
    std::int64_t oldest = 0;
    std::int64_t newest = 0;
    if (line.size() != 4 || !take_number(line[1], records) || !take_number(line[2], oldest) ||
        !take_number(line[3], newest) || records <= 0)
      return Error{ErrorKind::kUnavailable,
                   "ask " + place_.http.url + ": '" + as_shown(line[0]).substr(0, 40) + "' is no count"};
    boxes[line[0]] = {static_cast<std::uint64_t>(records), UnixMs(std::chrono::milliseconds(oldest)),
                      UnixMs(std::chrono::milliseconds(newest))};
  }
  return boxes;
}

Result<void> ClickHouseLog::look_at_span(const Server& server, const Boxes& boxes) {
  if (boxes.empty()) return {};
  span_.oldest_end = UnixMs::max();
  span_.newest_end = UnixMs::min();
  for (const auto& [instance, box] : boxes) {
    span_.records += box.records;
    span_.oldest_end = std::min(span_.oldest_end, box.oldest_end);
    span_.newest_end = std::max(span_.newest_end, box.newest_end);
  }
  span_.oldest_start = span_.oldest_end;
  // Records that end soon after the first are those that may have begun before it. A gap that has no
  // beginning is as old as the log may be; it is told by itself.
  const std::string first = "assumeNotNull(min(start_time))";
  const auto begun =
      ask(server, "SELECT count(), " + (modern_ ? "toUnixTimestamp64Milli(" + first + ")" : first) +
                      " FROM " + place_.quoted() + " WHERE " + of_boxes() +
                      " AND end_time <= " + time(shifted(span_.oldest_end, kLongestSilence + window_)) +
                      " AND start_time IS NOT NULL");
  if (!begun) return begun.error();
  std::int64_t count = 0;
  std::int64_t start = 0;
  if (begun->empty() || begun->front().size() != 2 || !take_number(begun->front()[0], count))
    return Error{ErrorKind::kUnavailable, "ask " + place_.http.url + ": no answer to a count"};
  if (count > 0 && take_number(begun->front()[1], start))
    span_.oldest_start = std::min(span_.oldest_start, UnixMs(std::chrono::milliseconds(start)));
  return {};
}

// What the boxes have said; `kept_since`: records that ended before may have been deleted for their age.
// Errors: why none of it can be believed.
Result<std::vector<clickhouse::StoredCoverage>> ClickHouseLog::look_at_coverage(const Server& server,
                                                                                UnixMs& kept_since) {
  if (const auto unseen = clickhouse::look_at_coverage(server.client, place_, server.identified))
    return Error{ErrorKind::kUnavailable, unseen->why};
  const auto named = "database = " + clickhouse::quoted_text(place_.database);
  const auto table =
      ask(server, "SELECT engine, engine_full, toInt64(toUInt32(now())) FROM system.tables WHERE " + named +
                      " AND name = " + clickhouse::quoted_text(place_.table));
  if (!table) return table.error();
  std::int64_t now = 0;
  if (table->size() != 1 || table->front().size() != 3 || !take_number(table->front()[2], now))
    return Error{ErrorKind::kUnavailable, "what kind of table it is, this user may not see"};
  // Others may drop rows that look alike, or have taken what is not to be read yet.
  const std::string& engine = table->front()[0];
  if (engine != "MergeTree" && engine != "ReplicatedMergeTree")
    return Error{ErrorKind::kUnavailable, "a table of " + as_shown(engine) +
                                              " may lack records that were taken; a MergeTree does not"};
  const auto kept = kept_for(table->front()[1]);
  if (!kept) return Error{ErrorKind::kUnavailable, "its TTL is not one of natsessionctl clickhouse-schema"};
  if (kept->count() > 0) kept_since = UnixMs(std::chrono::seconds(now) - *kept);
  const auto lines = ask(server, clickhouse::coverage_question(place_, of_boxes(), modern_));
  if (!lines) return lines.error();
  auto stored = clickhouse::read_coverage_answer(*lines);
  if (!stored) return stored.error();
  if (engine == "ReplicatedMergeTree") {
    // Behind the coverage: what that rests on was written before, perhaps at another replica.
    const auto replica =
        ask(server,
            "SELECT toUInt8(log_pointer > log_max_index AND inserts_in_queue = 0 AND NOT is_session_expired) "
            "FROM system.replicas WHERE " +
                named + " AND table = " + clickhouse::quoted_text(place_.table));
    if (!replica) return replica.error();
    if (replica->size() != 1 || replica->front()[0] != "1")
      return Error{ErrorKind::kUnavailable, "this replica has not got all that others have taken"};
  }
  return std::move(*stored);
}

// As far as the records must be there. A box that has none left proves nothing, but is not forgotten.
void ClickHouseLog::believe(std::vector<clickhouse::StoredCoverage> told, const Boxes& boxes,
                            UnixMs kept_since) {
  const std::string begin = "the table " + place_.quoted() + " does not tell when ";
  for (const auto& [instance, box] : boxes) {
    const bool tells = std::any_of(told.begin(), told.end(), [&name = instance](const auto& one) {
      return one.coverage.instance == name;
    });
    if (tells) continue;
    why_unproved_ = begin + "box '" + as_shown(instance) + "' logged all sessions" +
                    (boxes.size() > 1 ? "; instance= in the URL of the store asks about others alone" : "");
    return;
  }
  for (auto& [coverage, stream] : told) {
    const auto box = boxes.find(coverage.instance);
    coverage.from =
        box == boxes.end() ? UnixMs::max() : std::max({coverage.from, box->second.oldest_end, kept_since});
    if (coverage.from > coverage.until) coverage.from = UnixMs::max();
  }
  coverage_ = clickhouse::coverage_of_boxes(std::move(told));
  if (coverage_.empty()) why_unproved_ = begin + "all sessions were logged: it has no records";
}

std::string ClickHouseLog::time(UnixMs time) const {
  const std::int64_t ms = time.time_since_epoch().count();
  if (!modern_) return std::to_string(ms);
  return "fromUnixTimestamp64Milli(toInt64(" + std::to_string(std::clamp(ms, kEarliest, kLatest)) + "))";
}

std::string ClickHouseLog::address(const IpAddress& address) const {
  std::string hex;
  for (const std::uint8_t byte : address.bytes()) hex += fmt::format("{:02x}", byte);
  if (!modern_) return "toFixedString(unhex('" + hex + "'), 16)";
  return std::string("toIPv6('") + (address.is_v4() ? "::ffff:" : "") + address.to_string() + "')";
}

// What passes the test passes this; more may.
std::string ClickHouseLog::condition(const FieldTest& test) const {
  const Column* const column = clickhouse::find_column(test.field);
  if (test.excluded || column == nullptr) return {};
  const std::string name = clickhouse::quoted_name(column->name);
  std::vector<std::string> ways;
  const auto any_of = [&](const std::vector<std::string>& values) {
    std::string list;
    for (const std::string& value : values) list += (list.empty() ? "" : ", ") + value;
    if (!values.empty()) ways.push_back(name + " IN (" + list + ")");
  };
  std::vector<std::string> values;
  for (const IpAddress& one : test.addresses) values.push_back(address(one));
  for (const std::string& text : test.texts) values.push_back(clickhouse::quoted_text(text));
  const auto between = [&](const IpAddress& lowest, const IpAddress& highest) {
    ways.push_back("(" + name + " >= " + address(lowest) + " AND " + name + " <= " + address(highest) + ")");
  };
  for (const Prefix& prefix : test.prefixes) {
    between(prefix.lowest(), prefix.highest());
  }
  const FieldSpec& spec = spec_of(test.field);
  for (const NumberRange& range : test.numbers) {
    if (spec.kind == FieldKind::kWord) {
      for (std::uint64_t word = range.lowest; word <= std::min(range.highest, spec.limit); ++word) {
        if (!spec.word(word).empty()) values.push_back(clickhouse::quoted_text(spec.word(word)));
      }
    } else if (range.lowest == range.highest) {
      values.push_back(std::to_string(range.lowest));
    } else {
      ways.push_back(fmt::format("({0} >= {1} AND {0} <= {2})", name, range.lowest, range.highest));
    }
  }
  any_of(values);
  if (test.bound && ways.empty()) {
    return name + (test.bound->below ? " <= " : " >= ") + address(test.bound->bound);
  }
  if (ways.empty()) return "0";
  return joined_by(" OR ", ways);
}

std::string ClickHouseLog::times(const Query& query) const {
  std::vector<std::string> all;
  if (query.end.from) all.push_back("end_time >= " + time(*query.end.from));
  if (query.end.until) all.push_back("end_time <= " + time(*query.end.until));
  if (query.start.from) all.push_back("start_time >= " + time(*query.start.from));
  // No record ends before it begins, and none covers more than a window: but sessions may have one record
  // alone, so nothing is said of when it ends. A gap without a beginning begins before all.
  if (query.start.until)
    all.push_back("(start_time <= " + time(*query.start.until) + " OR start_time IS NULL)");
  return joined_by(" AND ", all);
}

// A ledger is read by frames, which hold some minutes: so what meets a moment is what ends or begins a window
// away.
std::string ClickHouseLog::moments(const Query& query) const {
  std::vector<std::string> any;
  for (const TimeRange& moment : query.moments) {
    std::vector<std::string> both;
    if (moment.from) both.push_back("end_time >= " + time(shifted(*moment.from, -window_)));
    if (moment.until)
      both.push_back("(start_time <= " + time(shifted(*moment.until, window_)) + " OR start_time IS NULL)");
    any.push_back(joined_by(" AND ", both));
  }
  return joined_by(" OR ", any);
}

std::string ClickHouseLog::statement(const Query& query, bool newest_first) const {
  std::string columns = fmt::format("toUInt32({})", clickhouse::kRowMark);
  for (const Column* const column : wanted_columns(query))
    columns += ", " + clickhouse::quoted_name(column->name);
  std::vector<std::string> tests{"event != 'gap'"};
  for (const FieldTest& test : query.where) {
    if (std::string one = condition(test); !one.empty()) tests.push_back(std::move(one));
  }
  if (query.ready) {
    std::vector<std::string> ready;
    if (query.ready->end.from) ready.push_back("end_time >= " + time(*query.ready->end.from));
    if (query.ready->end.until) ready.push_back("end_time <= " + time(*query.ready->end.until));
    tests.push_back("NOT " + joined_by(" AND ", ready));
  }
  // Gap records have no address, and so stand together. They have no session_id either: what comes behind
  // that puts one that is there twice beside itself.
  const std::string gap = "(nat_ip = " + address(IpAddress()) + " AND event = 'gap')";
  const std::string_view order = newest_first ? " DESC" : "";
  return fmt::format(
      "SELECT {0} FROM {1} WHERE {2} AND {3} AND {4} AND ({5} OR {6}) ORDER BY end_time{7}, session_id{7}, "
      "seq{7}, instance{7}, netns{7}, reason{7}, start_time{7} FORMAT RowBinary",
      columns, place_.quoted(), of_boxes(), times(query), moments(query), joined_by(" AND ", tests), gap,
      order);
}

Result<void> ClickHouseLog::read(const Query& query, bool newest_first, const Take& take) {
  const std::vector<const Column*> columns = wanted_columns(query);
  StoreRows rows(columns, take);
  return fetch(statement(query, newest_first), rows);
}

// Errors: the server's, or what was wrong with its answer.
Result<void> ClickHouseLog::fetch(std::string_view statement, AnswerRows& rows) const {
  bool identified = false;
  const auto client = connect(identified);
  if (!client) return client.error();
  HttpRequest request;
  request.headers = {"Content-Type: text/plain"};
  request.body = statement;
  request.on_body = [&rows](std::string_view part) { return rows.add(part); };
  const HttpReply reply = (*client)->send(request);
  if (rows.unwanted()) return {};
  const std::string asked = "ask " + place_.http.url + " about " + place_.quoted();
  if (rows.why().empty()) {
    const HttpVerdict verdict = clickhouse::judge_answer(reply, identified, reply.told(asked));
    if (verdict.kind == HttpVerdict::Kind::kAnswer) return told(verdict.answer);
    if (verdict.kind != HttpVerdict::Kind::kTaken) return Error{ErrorKind::kUnavailable, reply.told(asked)};
  }
  auto finished = rows.finish();
  if (!finished) return Error{finished.error().kind, asked + ": " + finished.error().message};
  return {};
}

// That nothing is there twice is looked at behind the sums: what came between would make them too large.
bool ClickHouseLog::sums(const SumsQuestion& question, const TakeSums& take) {
  std::vector<std::string> tests{of_boxes(), "event != 'gap'"};
  for (const FieldTest& test : question.where) {
    if (std::string one = condition(test); !one.empty()) tests.push_back(std::move(one));
  }
  const std::int64_t length = length_of(question.kind).count();
  const auto at = [&](std::int64_t period) {
    return time(UnixMs(std::chrono::milliseconds(period * length)));
  };
  if (question.first) tests.push_back("end_time >= " + at(*question.first));
  if (question.behind)
    tests.push_back((is_spread(question.kind) ? "start_time < " : "end_time < ") + at(*question.behind));
  const SumsPlace where{place_.quoted(), joined_by(" AND ", tests), modern_};
  SumsRows rows(question.kind, take);
  if (!fetch(sums_statement(question, where), rows) || rows.unwanted()) return false;
  return is_exact(exactness_question(question.kind, where));
}

bool ClickHouseLog::is_exact(std::string_view question) const {
  bool identified = false;
  const auto client = connect(identified);
  if (!client) return false;
  const auto exact = ask({**client, identified}, std::string(question));
  return exact && exact->size() == 1 && exact->front()[0] == "1";
}

bool ClickHouseLog::groups(const Query& query, std::span<const Field> by, const TakeGroup& take) {
  if (!query.moments.empty() || query.whole || query.flows) return false;
  std::vector<const Column*> columns;
  for (const Field field : by) {
    // Whether there is one at all is told by two columns, and by none of a session's name.
    const bool odd = field == Field::kOrigDstIp || field == Field::kOrigDstPort || field == Field::kSessionId;
    const Column* const column = clickhouse::find_column(field);
    if (odd || column == nullptr) return false;
    columns.push_back(column);
  }
  std::vector<std::string> tests{of_boxes(), "event != 'gap'", times(query)};
  for (const FieldTest& test : query.where) {
    if (!has_exact_condition(test)) return false;
    FieldTest among = test;
    among.excluded = false;
    tests.push_back((test.excluded ? "NOT " : "") + condition(among));
  }
  const SumsPlace where{place_.quoted(), joined_by(" AND ", tests), modern_};
  GroupRows rows(columns, take);
  if (!fetch(groups_statement(columns, where), rows) || rows.unwanted()) return false;
  return is_exact(exactness_question(SumsKind::kHoursByPriIp, where));
}

}  // namespace natsession::ctl
