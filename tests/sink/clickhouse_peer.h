// A stand-in for a ClickHouse server: it tells its table's columns, takes inserts, and remembers tokens as a
// table with a window of de-duplication does.
#pragma once

#include <atomic>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "sink/clickhouse/clickhouse_coverage.h"
#include "sink/clickhouse/clickhouse_table.h"
#include "sink/http_peer.h"

namespace natsession::testing {

// The rows of an insert. A row that is torn is an error.
inline std::vector<SessionRecord> rows_in(std::string_view body) {
  std::vector<const clickhouse::Column*> columns;
  for (const clickhouse::Column& column : clickhouse::columns()) columns.push_back(&column);
  clickhouse::RowReader reader(columns, /*marked=*/false);
  std::vector<SessionRecord> records;
  while (!body.empty()) {
    SessionRecord record;
    if (reader.take(body, record) != clickhouse::RowReader::Outcome::kRow) {
      throw std::runtime_error("a torn row: " + reader.why());
    }
    records.push_back(record);
  }
  return records;
}

inline std::string decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      plain += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

class ClickHousePeer {
 public:
  // What a table has that clickhouse-schema made.
  static std::string described() {
    std::string text;
    for (const clickhouse::Column& column : clickhouse::columns()) {
      std::string type(clickhouse::types_of(column.kind));
      type = type.substr(0, type.find(" or "));
      text += std::string(column.name) + "\t" + type + "\t\t\t\t\t\n";
    }
    return text;
  }
  // What its table of coverage has.
  static std::string described_coverage() {
    std::string text;
    for (const clickhouse::NamedColumn& column : clickhouse::coverage_columns()) {
      std::string type(clickhouse::types_of(column.kind));
      text += std::string(column.name) + "\t" + type.substr(0, type.find(" or ")) + "\t\t\t\t\t\n";
    }
    return text;
  }
  static std::string parameter(const ReceivedRequest& request, const std::string& name) {
    const std::string line = request.line.substr(0, request.line.rfind(' '));
    for (const std::string& begin : {"?" + name + "=", "&" + name + "="}) {
      const std::size_t at = line.find(begin);
      if (at == std::string::npos) continue;
      const std::size_t from = at + begin.size();
      return decoded(std::string_view(line).substr(from, line.find('&', from) - from));
    }
    return {};
  }
  static HttpAnswer error(int status, unsigned code, const std::string& text = "DB::Exception: no") {
    return HttpAnswer::status(status, {}, "Code: " + std::to_string(code) + ". " + text);
  }

  // `on_insert` may answer in its stead: an empty answer lets it go on.
  explicit ClickHousePeer(HttpPeer::Handler on_insert = {}) : on_insert_(std::move(on_insert)) {}

  [[nodiscard]] std::string url(const std::string& names = "/nat/sessions") const {
    return "clickhouse" + peer_.url(names).substr(4);
  }
  // The records that the table has.
  [[nodiscard]] std::vector<SessionRecord> records() const {
    return records_.with([](const auto& records) { return records; });
  }
  [[nodiscard]] std::vector<std::uint32_t> numbers() const {
    std::vector<std::uint32_t> numbers;
    for (const SessionRecord& record : records()) numbers.push_back(record.seq);
    return numbers;
  }
  // Rows of the table of coverage, as they came.
  [[nodiscard]] std::string coverage() const {
    return coverage_.with([](const std::string& rows) { return rows; });
  }
  // Into the table of records.
  [[nodiscard]] std::vector<ReceivedRequest> inserts() const {
    std::vector<ReceivedRequest> inserts;
    for (const ReceivedRequest& request : peer_.requests()) {
      const std::string query = parameter(request, "query");
      if (query.starts_with("INSERT") && query.find("_coverage` (") == std::string::npos)
        inserts.push_back(request);
    }
    return inserts;
  }
  [[nodiscard]] std::vector<std::string> tokens() const {
    std::vector<std::string> tokens;
    for (const ReceivedRequest& request : inserts()) {
      tokens.push_back(parameter(request, "insert_deduplication_token"));
    }
    return tokens;
  }

  std::string version;  // as version() tells it
  std::string columns = described();
  std::string coverage_columns = described_coverage();  // empty: there is no such table
  std::string settings = "insert_deduplication_token\nasync_insert\n";

 private:
  HttpAnswer answer(const ReceivedRequest& request) {
    const std::string query = parameter(request, "query");
    if (query.starts_with("DESCRIBE") && query.find("_coverage`") != std::string::npos)
      return coverage_columns.empty() ? error(404, 60) : HttpAnswer::status(200, {}, coverage_columns);
    if (query.starts_with("DESCRIBE")) {
      return columns.starts_with("Code: ") ? HttpAnswer::status(404, {}, columns)
                                           : HttpAnswer::status(200, {}, columns);
    }
    if (query.starts_with("SELECT version()")) return HttpAnswer::status(200, {}, version + "\n");
    if (query.starts_with("SELECT name FROM system.settings")) return HttpAnswer::status(200, {}, settings);
    if (!query.starts_with("INSERT")) return HttpAnswer::status(200);
    if (query.find("_coverage` (") != std::string::npos) {
      coverage_.with([&](std::string& rows) { rows += request.text(); });
      return HttpAnswer::status(200);
    }
    if (on_insert_) {
      HttpAnswer wanted = on_insert_(request);
      if (!wanted.bytes.empty()) return wanted;
    }
    store(request);
    return HttpAnswer::status(200);
  }

 public:
  void store(const ReceivedRequest& request) {
    const std::string token = parameter(request, "insert_deduplication_token");
    if (!token.empty() && !known_.insert(token).second) return;
    records_.with([&](auto& records) {
      for (const SessionRecord& record : rows_in(request.text())) records.push_back(record);
    });
  }

 private:
  HttpPeer::Handler on_insert_;
  std::set<std::string> known_;  // the peer's thread alone
  Guarded<std::vector<SessionRecord>> records_;
  Guarded<std::string> coverage_;
  HttpPeer peer_{[this](const ReceivedRequest& request) { return answer(request); }};
};

}  // namespace natsession::testing
