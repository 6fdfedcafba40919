#include "sink/clickhouse/clickhouse_sink.h"

#include <array>
#include <utility>

#include <xxhash.h>

#include "record/text_writer.h"
#include "sink/clickhouse/clickhouse_coverage.h"

namespace natsession {
namespace {

using namespace clickhouse;
using namespace std::chrono_literals;

constexpr std::size_t kMaxInsertBytes = 64 << 20;
// From which version on zstd is sent. Measured (tests/bench/RESULTS.md): three times as fast as gzip, and a
// fifth smaller.
constexpr Version kReadsZstd{22, 3};
constexpr unsigned kNotImplemented = 48;  // ClickHouse's number of a compression that it does not know

bool reads_zstd(HttpClient& client, const Place& place, bool identified) {
  std::optional<Answer> unseen;
  const auto told = ask(client, place, "SELECT version() FORMAT TabSeparated", identified, unseen);
  if (!told || told->empty()) return false;
  const auto version = Version::parse((*told)[0][0]);
  return version && *version >= kReadsZstd;
}
// As ClickHouse wants them: few and large.
constexpr UsualBatch kInserts{100'000, {64ULL << 20}, 10s};

struct ClickHouseSettings {
  std::chrono::milliseconds coverage = kProofInterval;
};

std::span<const Option<ClickHouseSettings>> clickhouse_options() {
  static const Option<ClickHouseSettings> kTable[] = {
      {"coverage", "TIME", "how often at most what is proved goes into TABLE_coverage, where there is one",
       time_option(&ClickHouseSettings::coverage, {100ms, 24h})},
  };
  return kTable;
}

std::string insert_statement(const Place& place) {
  std::string names;
  for (const Column& column : columns()) names += (names.empty() ? "" : ", ") + quoted_name(column.name);
  return "INSERT INTO " + place.quoted() + " (" + names + ") FORMAT RowBinary";
}

std::string token_of(std::uint64_t first, std::size_t count, std::string_view rows) {
  const XXH128_hash_t hash = XXH3_128bits(rows.data(), rows.size());
  std::array<char, 2 * kHex64Length + kTextSlack> hex{};
  char* const end = write_hex64(write_hex64(hex.data(), hash.high64), hash.low64);
  return "natsession-" + std::to_string(first) + "-" + std::to_string(count) + "-" +
         std::string(hex.data(), end);
}

// Whether a batch that comes again is stored once, in words.
std::string repeats_in_words(HttpClient& client, const Place& place, const TableLook& look, bool identified) {
  std::optional<Answer> unseen;
  const auto engine =
      ask(client, place,
          "SELECT engine_full FROM system.tables WHERE database = " + quoted_text(place.database) +
              " AND name = " + quoted_text(place.table) + " FORMAT TabSeparated",
          identified, unseen);
  const std::string text = engine && !engine->empty() ? (*engine)[0][0] : std::string();
  if (text.starts_with("Replicated") || text.starts_with("Shared"))
    return "a batch that comes again is stored once";
  if (look.takes_tokens && text.find("non_replicated_deduplication_window") != std::string::npos) {
    return "a batch that comes again is stored once";
  }
  return "a batch that comes again, after an answer that was lost, may be stored twice: the table does not "
         "remember "
         "batches";
}

std::string coverage_statement(const Place& place) {
  std::string names;
  for (const NamedColumn& column : coverage_columns())
    names += (names.empty() ? "" : ", ") + quoted_name(column.name);
  return "INSERT INTO " + quoted_name(place.database) + "." + quoted_name(coverage_table(place.table)) +
         " (" + names + ") FORMAT RowBinary";
}

// Whether the store will be able to say that there was no session.
std::string coverage_in_words(HttpClient& client, const Place& place, bool identified) {
  const std::string none = "so natsessionctl --store never says that there was no session: ";
  if (const auto unseen = look_at_coverage(client, place, identified)) return none + unseen->why;
  HttpRequest request;
  request.url = place.url_of(coverage_statement(place));
  const HttpReply reply = client.send(request);
  const std::string why = reply.told("insert no row into " + quoted_name(coverage_table(place.table)));
  const HttpVerdict verdict = judge_answer(reply, identified, why);
  return verdict.kind == HttpVerdict::Kind::kTaken ? "what is proved goes into " + coverage_table(place.table)
                                                   : none + why;
}

// Looks at the table, and inserts nothing into it.
Result<Reached> reach_table(const Place& place, HttpClient& client, bool identified) {
  const TableLook look = look_at(client, place, identified);
  if (look.failure) return unwell(HttpVerdict::of(*look.failure), look.failure->why);
  // No rows: whether this user may insert.
  HttpRequest request;
  request.url = place.url_of(insert_statement(place));
  const HttpReply reply = client.send(request);
  const std::string why = reply.told("insert no row into " + place.quoted());
  const HttpVerdict verdict = judge_answer(reply, identified, why);
  if (verdict.kind != HttpVerdict::Kind::kTaken) return unwell(verdict, why);
  return Reached{"connected; the table has all columns, and rows may be inserted; " +
                 repeats_in_words(client, place, look, identified) + "; " +
                 coverage_in_words(client, place, identified)};
}

Result<SinkOpener> parse_clickhouse(const SinkUrl& url) {
  auto place = Place::parse(url);
  if (!place) return place.error();
  ClickHouseSettings settings;
  if (auto read = read_options(url, clickhouse_options(), settings); !read) return read.error();
  return http_opener(
      place->http,
      [name = url.name(), place = *place, settings](const EncoderOptions&, const Clock&) {
        return ClickHouseSink::open(name, place, settings.coverage);
      },
      [place = *place](HttpClient& client, bool identified) {
        return reach_table(place, client, identified);
      });
}

}  // namespace

SinkKind clickhouse_kind() {
  return {.scheme = "clickhouse",
          .usage = "clickhouse://HOST[:8123]/DATABASE/TABLE",
          .help =
              "rows of a table of ClickHouse, which natsessionctl clickhouse-schema makes; options as http; "
              "batch=100000, batch_bytes=64M and linger=10s unless its URL says otherwise",
          .options = explain(clickhouse_options()),
          .also = explain(http_options()),
          .remote = true,
          .encoding = SinkEncoding::kBinary,
          .batch = kInserts,
          .missing = HttpClient::kBuiltIn ? "" : "libcurl (NATSESSION_SINK_HTTP)",
          .parse = parse_clickhouse};
}

SinkKind clickhouse_tls_kind() {
  return over_tls(clickhouse_kind(), "clickhouse+https", "clickhouse+https://HOST[:8443]/DATABASE/TABLE",
                  "the same over TLS; options as https");
}

Result<std::unique_ptr<Sink>> ClickHouseSink::open(std::string name, const Place& place,
                                                   std::chrono::milliseconds proof_interval) {
  return ready(std::unique_ptr<ClickHouseSink>(new ClickHouseSink(std::move(name), place, proof_interval)));
}

Result<void> ClickHouseSink::reopen() {
  seen_ = false;
  return HttpServerSink::reopen();
}

Answer ClickHouseSink::deliver(std::span<const SessionRecord> records) {
  if (records.empty()) return Answer::delivered(0);
  if (auto failure = look()) return std::move(*failure);
  batch_ = records;
  Answer answer = delivery().deliver(records, *this);
  if (answer.kind == Answer::Kind::kTargetFailed) seen_ = false;
  first_ += answer.taken;
  return answer;
}

// At the table of records; else why it cannot be used.
std::optional<Answer> ClickHouseSink::look() {
  if (seen_) return std::nullopt;
  TableLook look = look_at(delivery().client(), place_, identified());
  if (look.failure) return std::move(look.failure);
  takes_tokens_ = look.takes_tokens;
  has_async_ = look.has_async;
  compress_ = settings().compress;
  if (!place_.compress_given && reads_zstd(delivery().client(), place_, identified()))
    compress_ = Compression::kZstd;
  seen_ = true;
  return std::nullopt;
}

// The table is looked at each time: it may be made any day, and RowBinary has no names.
Result<void> ClickHouseSink::take_proof(const ProvedTimes& proved) {
  HttpClient& client = delivery().client();
  auto failure = look();
  if (!failure) failure = look_at_coverage(client, place_, identified());
  if (failure) return Error{ErrorKind::kUnavailable, std::move(failure->why)};
  HttpRequest request;
  request.url = place_.url_of(coverage_statement(place_), has_async_ ? "&async_insert=0" : "");
  request.headers = {"Content-Type: application/octet-stream"};
  rows_.clear();
  append_coverage(proved, rows_);
  request.body = rows_;
  const HttpReply reply = client.send(request);
  const std::string why =
      reply.told("insert into " + quoted_name(coverage_table(place_.table)) + " at " + place_.http.url);
  const HttpVerdict verdict = judge_answer(reply, identified(), why);
  if (verdict.kind == HttpVerdict::Kind::kTaken && reply.body.empty()) return {};
  return Error{ErrorKind::kUnavailable, why};
}

Result<std::size_t> ClickHouseSink::make_request(std::span<const SessionRecord> records,
                                                 HttpRequest& request) {
  rows_.clear();
  std::size_t count = 0;
  while (count < records.size() && rows_.size() < kMaxInsertBytes) append_row(records[count++], rows_);
  std::string settings;
  if (takes_tokens_) {
    const auto before = static_cast<std::size_t>(records.data() - batch_.data());
    settings += "&insert_deduplication_token=" + token_of(first_ + before, count, rows_);
  }
  // A server that gathers rows of several inserts knows none of them again.
  if (has_async_) settings += "&async_insert=0";
  request.url = place_.url_of(insert_statement(place_), settings);
  request.headers = {"Content-Type: application/octet-stream"};
  if (auto set = set_body(rows_, request, compress_); !set) return set.error();
  return count;
}

HttpVerdict ClickHouseSink::judge(const HttpReply& reply) {
  if (compress_ == Compression::kZstd && error_number(reply) == kNotImplemented) {
    compress_ = Compression::kGzip;
    return {HttpVerdict::Kind::kAgain};
  }
  HttpVerdict verdict = judge_answer(reply, identified(), told(reply));
  // An insert is answered by nothing: this is a proxy's page.
  if (verdict.kind == HttpVerdict::Kind::kTaken && !reply.body.empty()) {
    return HttpVerdict::of(
        Answer::retry_later(0, told(reply) + " (not what ClickHouse answers to an insert)"));
  }
  return verdict;
}

std::string ClickHouseSink::told(const HttpReply& reply) const {
  return reply.told("insert into " + place_.quoted() + " at " + place_.http.url);
}

}  // namespace natsession
