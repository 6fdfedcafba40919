// ClickHouseLog: the records that boxes have inserted into a table of ClickHouse, to be asked like a ledger.
// A question's times and tests become a condition of SQL, and only the columns that it needs come back; what
// else an answer takes is worked out here, as it is from a ledger.
//
// When all sessions were logged is told by the table of coverage beside it (clickhouse_coverage.h), which
// each box's sink writes behind its records. What it says is believed as far as the records must still be
// there: of boxes that have records, from the oldest of these on, and no longer than the table keeps records.
// Where one box tells nothing, or the table may lack records that were taken, nothing is proved.
// Threads: as RemoteLog says.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ask/clickhouse_rows.h"
#include "ask/clickhouse_sums.h"
#include "query/log_store.h"
#include "sink/clickhouse/clickhouse_coverage.h"
#include "sink/clickhouse/clickhouse_server.h"

namespace natsession::ctl {

class ClickHouseLog final : public RemoteLog {
 public:
  // `url`: clickhouse://HOST[:PORT]/DATABASE/TABLE with options of an http sink, and window=TIME, the longest
  // --window of the boxes, and instance=NAME[,NAME…], the boxes that are asked about alone. Looks at the
  // tables.
  // Errors: kUsage for the URL; kUnavailable, beginning with the code of the log's specification where there is one.
  [[nodiscard]] static Result<std::unique_ptr<ClickHouseLog>> open(std::string_view url);

  Result<void> read(const Query& query, bool newest_first, const Take& take) override;
  // ClickHouse adds up, unless a record of that time is there twice.
  bool sums(const SumsQuestion& question, const TakeSums& take) override;
  // Likewise, by any fields that are columns, where the question's tests are exact in SQL.
  bool groups(const Query& query, std::span<const Field> by, const TakeGroup& take) override;
  [[nodiscard]] LedgerSpan span() const override { return span_; }
  [[nodiscard]] std::chrono::milliseconds window() const override { return window_; }
  [[nodiscard]] std::vector<Coverage> coverage() const override { return coverage_; }
  [[nodiscard]] std::string why_unproved() const override { return why_unproved_; }

  // The statement that read() asks; for tests.
  [[nodiscard]] std::string statement(const Query& query, bool newest_first) const;

 private:
  // The records of one box.
  struct Box {
    std::uint64_t records = 0;
    UnixMs oldest_end, newest_end;
  };
  using Boxes = std::map<std::string, Box>;
  using Lines = std::vector<std::vector<std::string>>;
  // Whom to ask, while it is opened.
  struct Server {
    HttpClient& client;
    bool identified = false;
  };

  ClickHouseLog() = default;
  [[nodiscard]] Result<Lines> ask(const Server& server, const std::string& statement) const;
  [[nodiscard]] Result<Boxes> look_at_boxes(const Server& server) const;
  Result<void> look_at_span(const Server& server, const Boxes& boxes);
  Result<std::vector<clickhouse::StoredCoverage>> look_at_coverage(const Server& server, UnixMs& kept_since);
  void believe(std::vector<clickhouse::StoredCoverage> told, const Boxes& boxes, UnixMs kept_since);
  [[nodiscard]] std::string of_boxes() const;
  Result<void> fetch(std::string_view statement, AnswerRows& rows) const;
  [[nodiscard]] Result<std::unique_ptr<HttpClient>> connect(bool& identified) const;
  [[nodiscard]] std::string time(UnixMs time) const;
  [[nodiscard]] std::string address(const IpAddress& address) const;
  [[nodiscard]] std::string condition(const FieldTest& test) const;
  [[nodiscard]] bool is_exact(std::string_view question) const;
  [[nodiscard]] std::string times(const Query& query) const;
  [[nodiscard]] std::string moments(const Query& query) const;

  clickhouse::Place place_;
  std::vector<std::string> instances_;  // that are asked about alone; none: all
  bool modern_ = false;                 // it has types for times and addresses
  LedgerSpan span_;
  std::chrono::milliseconds window_ = kUnnamedWindow;
  std::vector<Coverage> coverage_;
  std::string why_unproved_;
};

}  // namespace natsession::ctl
