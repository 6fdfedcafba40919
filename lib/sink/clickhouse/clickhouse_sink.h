// ClickHouseSink: records as rows of a table, inserted over HTTP: RowBinary, compressed with what the server
// reads of gzip and zstd unless told otherwise.
//
// A batch that comes again has the same bytes and the same name, insert_deduplication_token, which is made of
// the place of its first record in the log, their number and a hash of the bytes: so a table that remembers
// tokens stores it once. See ARCHITECTURE.md, "Delivery", for when batches are the same. What the server's
// errors mean: clickhouse_server.h.
//
// Threads: as sink.h says.
#pragma once

#include <memory>
#include <string>

#include "sink/clickhouse/clickhouse_server.h"
#include "sink/http/http_server_sink.h"
#include "sink/sink_kind.h"

namespace natsession {

[[nodiscard]] SinkKind clickhouse_kind();
[[nodiscard]] SinkKind clickhouse_tls_kind();

// How often at most a table is told what is proved, unless its URL says otherwise.
inline constexpr std::chrono::milliseconds kProofInterval = std::chrono::minutes(1);

class ClickHouseSink final : public HttpServerSink {
 public:
  // Connects to nothing yet.
  // Errors: as HttpServerSink::reopen().
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(
      std::string name, const clickhouse::Place& place,
      std::chrono::milliseconds proof_interval = kProofInterval);

  // Looks at the table before the first batch, and again after an answer that says that it is another one.
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override;
  [[nodiscard]] bool knows_batches() const override { return true; }
  void name_batch(std::uint64_t first) override { first_ = first; }
  // Into the table of coverage, where there is one.
  [[nodiscard]] std::optional<std::chrono::milliseconds> proof_interval() const override {
    return proof_interval_;
  }
  Result<void> take_proof(const ProvedTimes& proved) override;

 private:
  ClickHouseSink(std::string name, const clickhouse::Place& place, std::chrono::milliseconds proof_interval)
      : HttpServerSink(std::move(name), place.http), place_(place), proof_interval_(proof_interval) {}

  [[nodiscard]] std::optional<Answer> look();

  Result<std::size_t> make_request(std::span<const SessionRecord> records, HttpRequest& request) override;
  HttpVerdict judge(const HttpReply& reply) override;
  [[nodiscard]] std::string told(const HttpReply& reply) const override;

  const clickhouse::Place place_;
  const std::chrono::milliseconds proof_interval_;
  bool seen_ = false;  // the table is as it must be
  bool takes_tokens_ = false;
  bool has_async_ = false;
  Compression compress_ = Compression::kGzip;
  std::uint64_t first_ = 0;               // of batch_, in the log
  std::span<const SessionRecord> batch_;  // while it is being delivered
  std::string rows_;
};

}  // namespace natsession
