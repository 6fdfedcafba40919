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
using clickhouse::RowReader;

// A piece that is handed on.
constexpr std::size_t kPiece = kMaxFrameRecords;
// A question may take long; what is silent for so long is not there.
constexpr std::chrono::minutes kUsualTimeout{5};
constexpr std::size_t kShownBytes = 300;

struct StoreSettings {
  std::chrono::milliseconds window = kUnnamedWindow;
};

std::span<const Option<StoreSettings>> store_options() {
  static const Option<StoreSettings> kTable[] = {
      {"window", "TIME", "the longest --window of the boxes",
       time_option(&StoreSettings::window, {std::chrono::seconds(1), std::chrono::hours(24)})},
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

// Puts rows together as they come, and hands them on in pieces.
class StoreRows {
 public:
  StoreRows(std::span<const Column* const> columns, const RemoteLog::Take& take)
      : reader_(columns), take_(take) {}

  // False: no more.
  bool add(std::string_view part) {
    std::string_view bytes = part;
    if (!rest_.empty()) {
      rest_ += part;
      bytes = rest_;
    }
    while (!bytes.empty()) {
      const RowReader::Outcome outcome = reader_.take(bytes, record_);
      if (outcome == RowReader::Outcome::kMore) break;
      if (outcome == RowReader::Outcome::kBad) {
        why_ = reader_.why() + ": " + shown(bytes);
        return false;
      }
      if (!keep()) return false;
    }
    // `bytes` may be a part of it.
    rest_ = std::string(bytes);
    if (rest_.size() > kMaxRow) {
      why_ = "the answer has a row that does not end";
      return false;
    }
    return true;
  }
  // Errors: what was wrong with the answer.
  Result<void> finish() {
    if (!why_.empty()) return Error{ErrorKind::kUnavailable, why_};
    if (!rest_.empty() && !unwanted_) {
      return Error{ErrorKind::kUnavailable, "the answer ends within a row: " + shown(rest_)};
    }
    if (!unwanted_ && !piece_.empty()) take_(std::move(piece_));
    return {};
  }
  [[nodiscard]] bool unwanted() const { return unwanted_; }
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  static constexpr std::size_t kMaxRow = 8 << 20;

  static std::string shown(std::string_view bytes) {
    std::string text(bytes.substr(0, kShownBytes));
    for (char& byte : text) {
      if (byte < ' ' || byte > '~') byte = ' ';
    }
    return text;
  }

  // A batch that came twice stands side by side, since rows are in order.
  bool keep() {
    if (!piece_.empty() && piece_.back() == record_) return true;
    if (piece_.empty() && last_ && *last_ == record_) return true;
    piece_.push_back(record_);
    if (piece_.size() < kPiece) return true;
    last_ = piece_.back();
    std::vector<SessionRecord> full;
    full.reserve(kPiece);
    full.swap(piece_);
    unwanted_ = !take_(std::move(full));
    return !unwanted_;
  }

  RowReader reader_;
  const RemoteLog::Take& take_;
  SessionRecord record_;
  std::optional<SessionRecord> last_;
  std::vector<SessionRecord> piece_;
  std::string rest_;
  std::string why_;
  bool unwanted_ = false;
};

UnixMs shifted(UnixMs time, std::chrono::milliseconds by) {
  const std::int64_t ms = time.time_since_epoch().count();
  constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max() / 2;
  return UnixMs(std::chrono::milliseconds(std::clamp(ms, -kFar, kFar)) + by);
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
  log->window_ = settings.window;
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
  if (auto looked = log->look_at_span(**client, identified); !looked) return looked.error();
  return log;
}

Result<void> ClickHouseLog::look_at_span(HttpClient& client, bool identified) {
  const auto ms = [this](const std::string& time) {
    return modern_ ? "toUnixTimestamp64Milli(" + time + ")" : "toInt64(" + time + ")";
  };
  const auto numbers = [&](const std::string& what,
                           const std::string& condition) -> Result<std::vector<std::int64_t>> {
    std::optional<Answer> failure;
    const auto lines = clickhouse::ask(
        client, place_, "SELECT " + what + " FROM " + place_.quoted() + condition + " FORMAT TabSeparated",
        identified, failure);
    if (!lines) return told(*failure);
    std::vector<std::int64_t> values;
    for (const std::string& text : lines->empty() ? std::vector<std::string>() : lines->front()) {
      std::int64_t value = 0;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
      if (read.ec != std::errc() && text != "\\N" && text != "N")
        return Error{ErrorKind::kUnavailable,
                     "ask " + place_.http.url + ": '" + text.substr(0, 40) + "' is no number"};
      values.push_back(value);
    }
    return values;
  };
  const auto whole = numbers("count(), " + ms("min(end_time)") + ", " + ms("max(end_time)"), "");
  if (!whole) return whole.error();
  if (whole->size() != 3)
    return Error{ErrorKind::kUnavailable, "ask " + place_.http.url + ": no answer to a count"};
  span_.records = static_cast<std::uint64_t>((*whole)[0]);
  if (span_.records == 0) return {};
  span_.oldest_end = UnixMs(std::chrono::milliseconds((*whole)[1]));
  span_.newest_end = UnixMs(std::chrono::milliseconds((*whole)[2]));
  span_.oldest_start = span_.oldest_end;
  // Records that end soon after the first are those that may have begun before it. A gap that has no
  // beginning is as old as the log may be; it is told by itself.
  const auto begun =
      numbers(ms("assumeNotNull(min(start_time))"),
              " WHERE end_time <= " + time(shifted(span_.oldest_end, kLongestSilence + window_)) +
                  " AND start_time IS NOT NULL");
  if (!begun) return begun.error();
  if (!begun->empty()) {
    const UnixMs first{std::chrono::milliseconds(begun->front())};
    span_.oldest_start = std::min(span_.oldest_start, first);
  }
  return {};
}

std::string ClickHouseLog::why_unproved() const {
  return "the table " + place_.quoted() + " does not tell when all sessions were logged: a box's ledger does";
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
  // Gap records have no address, and so stand together.
  const std::string gap = "(nat_ip = " + address(IpAddress()) + " AND event = 'gap')";
  const std::string_view order = newest_first ? " DESC" : "";
  return fmt::format(
      "SELECT {} FROM {} WHERE {} AND {} AND ({} OR {}) ORDER BY end_time{}, session_id{}, seq{} FORMAT "
      "RowBinary",
      columns, place_.quoted(), times(query), moments(query), joined_by(" AND ", tests), gap, order, order,
      order);
}

Result<void> ClickHouseLog::read(const Query& query, bool newest_first, const Take& take) {
  bool identified = false;
  const auto client = connect(identified);
  if (!client) return client.error();
  const std::vector<const Column*> columns = wanted_columns(query);
  StoreRows rows(columns, take);
  const std::string text = statement(query, newest_first);
  HttpRequest request;
  request.headers = {"Content-Type: text/plain"};
  request.body = text;
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

}  // namespace natsession::ctl
