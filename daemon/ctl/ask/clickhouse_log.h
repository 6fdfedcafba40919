// ClickHouseLog: the records that boxes have inserted into a table of ClickHouse, to be asked like a ledger.
// A question's times and tests become a condition of SQL, and only the columns that it needs come back; what
// else an answer takes is worked out here, as it is from a ledger.
//
// The table has gap records like others, but not when all sessions were logged: so nothing is proved of it,
// and "none" is said of no time.
// Threads: as RemoteLog says.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "query/log_store.h"
#include "sink/clickhouse/clickhouse_server.h"

namespace natsession::ctl {

class ClickHouseLog final : public RemoteLog {
 public:
  // `url`: clickhouse://HOST[:PORT]/DATABASE/TABLE with options of an http sink, and window=TIME, the longest
  // --window of the boxes. Looks at the table.
  // Errors: kUsage for the URL; kUnavailable, beginning with the code of the log's specification where there is one.
  [[nodiscard]] static Result<std::unique_ptr<ClickHouseLog>> open(std::string_view url);

  Result<void> read(const Query& query, bool newest_first, const Take& take) override;
  [[nodiscard]] LedgerSpan span() const override { return span_; }
  [[nodiscard]] std::chrono::milliseconds window() const override { return window_; }
  [[nodiscard]] std::string why_unproved() const override;

  // The statement that read() asks; for tests.
  [[nodiscard]] std::string statement(const Query& query, bool newest_first) const;

 private:
  ClickHouseLog() = default;
  Result<void> look_at_span(HttpClient& client, bool identified);
  [[nodiscard]] Result<std::unique_ptr<HttpClient>> connect(bool& identified) const;
  [[nodiscard]] std::string time(UnixMs time) const;
  [[nodiscard]] std::string address(const IpAddress& address) const;
  [[nodiscard]] std::string condition(const FieldTest& test) const;
  [[nodiscard]] std::string times(const Query& query) const;
  [[nodiscard]] std::string moments(const Query& query) const;

  clickhouse::Place place_;
  bool modern_ = false;  // it has types for times and addresses
  LedgerSpan span_;
  std::chrono::milliseconds window_ = kUnnamedWindow;
};

}  // namespace natsession::ctl
