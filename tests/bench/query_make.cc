
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include <sqlite3.h>

#include "bench/cgnat_day.h"
#include "bench/netflow_files.h"
#include "bench/query_bench.h"
#include "ledger/compactor.h"
#include "ledger/ledger_writer.h"
#include "record/encoder.h"
#include "support/manual_clock.h"

namespace natsession::bench {
namespace {

constexpr std::size_t kAtOnce = 4096;

std::uint64_t bytes_below(const std::filesystem::path& path) {
  if (std::filesystem::is_regular_file(path)) return std::filesystem::file_size(path);
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

// The ledger as a daemon leaves it at midnight: a frame a second while it was written, all but the last
// segment sealed.
class LedgerFile {
 public:
  LedgerFile(const std::string& directory, UnixMs midnight) : clock_(midnight) {
    settings_.directory = directory;
    settings_.sync = SyncMode::kNever;
    settings_.retention = std::chrono::hours(24 * 365);
    settings_.limit = ByteCount{std::uint64_t{1} << 50};
    auto opened = LedgerWriter::open(settings_, clock_);
    if (!opened) fail(opened.error().message);
    writer_ = std::move(*opened);
    compactor_ = std::make_unique<Compactor>(settings_, clock_);
  }
  void add(std::span<const SessionRecord> records) {
    if (writer_->append(records) != records.size())
      fail("the ledger takes no more: " + writer_->status().failure);
    const UnixNs now = records.back().end_time;
    if (now <= clock_.now()) return;
    clock_.advance(now - clock_.now());
    writer_->tick();
    if (++calls_ % 1000 == 0) seal();
  }
  void finish() {
    if (auto synced = writer_->sync(); !synced) fail(synced.error().message);
    clock_.advance(settings_.segment_span);
    writer_->tick();
    writer_.reset();
    seal();
  }

 private:
  void seal() {
    while (compactor_->step() == std::chrono::nanoseconds(0)) {
    }
  }
  LedgerSettings settings_;
  testing::ManualClock clock_;
  std::unique_ptr<LedgerWriter> writer_;
  std::unique_ptr<Compactor> compactor_;
  std::uint64_t calls_ = 0;
};

class JsonFile {
 public:
  explicit JsonFile(const std::string& path) : file_(path, std::ios::binary) {}
  void add(std::span<const SessionRecord> records) {
    text_.clear();
    for (const SessionRecord& record : records) encoder_->append(record, text_);
    if (!file_.write(text_.data(), static_cast<std::streamsize>(text_.size())))
      fail("the JSON file cannot be written");
  }

 private:
  std::ofstream file_;
  std::unique_ptr<Encoder> encoder_ = make_encoder({});
  std::string text_;
};

// Integers for addresses and times, which costs SQLite least; what questions ask, it has an index for.
class SqliteFile {
 public:
  explicit SqliteFile(const std::string& path) {
    std::filesystem::remove(path);
    if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) fail("SQLite");
    run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;"
        "CREATE TABLE log(protocol INTEGER, pri_ip INTEGER, pri_port INTEGER, pub_ip INTEGER, pub_port "
        "INTEGER,"
        "nat_ip INTEGER, nat_port INTEGER, bytes_from_pub INTEGER, pkts_from_pub INTEGER, bytes_from_vpc "
        "INTEGER,"
        "pkts_from_vpc INTEGER, start_time INTEGER, end_time INTEGER, event INTEGER, session_id INTEGER, seq "
        "INTEGER,"
        "session_start INTEGER, tcp_state INTEGER, reason INTEGER)");
    sqlite3_prepare_v2(database_, "INSERT INTO log VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1,
                       &insert_, nullptr);
  }
  SqliteFile(const SqliteFile&) = delete;
  SqliteFile& operator=(const SqliteFile&) = delete;
  ~SqliteFile() {
    sqlite3_finalize(insert_);
    run("COMMIT; CREATE INDEX by_nat ON log(nat_ip, nat_port, end_time); CREATE INDEX by_time ON "
        "log(end_time)");
    sqlite3_close(database_);
  }
  void add(std::span<const SessionRecord> records) {
    for (const SessionRecord& record : records) {
      int place = 0;
      const auto bind = [&](std::uint64_t value) {
        sqlite3_bind_int64(insert_, ++place, static_cast<sqlite3_int64>(value));
      };
      const auto count = [&](Count value) {
        value.known() ? bind(value.value()) : void(sqlite3_bind_null(insert_, ++place));
      };
      const auto time = [&](UnixMs value) {
        bind(static_cast<std::uint64_t>(value.time_since_epoch().count()));
      };
      const auto address = [&](const IpAddress& value) { bind(__builtin_bswap32(value.v4())); };
      bind(record.protocol);
      address(record.pri_ip);
      bind(record.pri_port);
      address(record.pub_ip);
      bind(record.pub_port);
      address(record.nat_ip);
      bind(record.nat_port);
      count(record.bytes_from_pub);
      count(record.pkts_from_pub);
      count(record.bytes_from_vpc);
      count(record.pkts_from_vpc);
      time(record.start_time);
      time(record.end_time);
      bind(static_cast<std::uint64_t>(record.event));
      bind(record.session_id);
      bind(record.seq);
      time(record.session_start.value_or(record.start_time));
      bind(static_cast<std::uint64_t>(record.tcp_state));
      bind(static_cast<std::uint64_t>(record.reason));
      if (sqlite3_step(insert_) != SQLITE_DONE) fail(sqlite3_errmsg(database_));
      sqlite3_reset(insert_);
    }
  }

 private:
  void run(const char* sql) {
    if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sqlite3_errmsg(database_));
  }
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

}  // namespace

void make_files(const MakeOptions& options) {
  std::filesystem::create_directories(options.directory);
  CgnatOptions day;
  day.sessions = options.sessions;
  CgnatDay generator(day);
  LedgerFile ledger(options.directory + "/ledger", day.midnight);
  std::unique_ptr<JsonFile> json;
  std::unique_ptr<SqliteFile> sqlite;
  std::unique_ptr<NetflowFiles> flows;
  if (options.json) json = std::make_unique<JsonFile>(options.directory + "/log.json");
  if (options.sqlite) sqlite = std::make_unique<SqliteFile>(options.directory + "/log.db");
  if (options.flows) flows = std::make_unique<NetflowFiles>(options.directory + "/flows", day.midnight);
  std::vector<SessionRecord> records(kAtOnce);
  std::uint64_t count = 0;
  while (const std::size_t made = generator.next(records)) {
    const std::span<const SessionRecord> some = std::span(records).first(made);
    ledger.add(some);
    if (json) json->add(some);
    if (sqlite) sqlite->add(some);
    if (flows) flows->add(some);
    count += made;
  }
  ledger.finish();
  json.reset();
  sqlite.reset();
  flows.reset();
  std::printf("made sessions=%llu records=%llu\n",
              static_cast<unsigned long long>(generator.sessions_begun()),
              static_cast<unsigned long long>(count));
  for (const char* name : {"ledger", "log.json", "log.db", "flows"}) {
    const std::filesystem::path path = std::filesystem::path(options.directory) / name;
    if (!std::filesystem::exists(path)) continue;
    const std::uint64_t bytes = bytes_below(path);
    std::printf("size what=%s bytes=%llu bytes_per_session=%.1f\n", name,
                static_cast<unsigned long long>(bytes),
                static_cast<double>(bytes) / static_cast<double>(generator.sessions_begun()));
  }
}

}  // namespace natsession::bench
