// ClickHouseCoverage: the table beside that of the records, TABLE_coverage, which tells when all sessions
// were logged: a row says that all sessions of a box's network namespace which ended in a time have their
// records in the other table, but for what gap records tell. Rows come behind the records that they rest on.
// A time that goes on has several rows: the one of the highest `version` counts.
// Threads: any; the functions keep no state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sink/clickhouse/clickhouse_server.h"
#include "sink/sink.h"

namespace natsession::clickhouse {

[[nodiscard]] std::string coverage_table(std::string_view table);
[[nodiscard]] std::span<const NamedColumn> coverage_columns();

// Appends a row of RowBinary with all coverage_columns() for each of the times.
void append_coverage(const ProvedTimes& proved, std::string& out);

// One of what the table tells.
struct StoredCoverage {
  Coverage coverage;
  std::uint64_t stream = 0;
};
// The question for all of it that passes `condition`, which is SQL, without FORMAT; `modern`: its times are
// DateTime64.
[[nodiscard]] std::string coverage_question(const Place& place, std::string_view condition, bool modern);
// Its answer.
// Errors: kMalformed where that is none.
[[nodiscard]] Result<std::vector<StoredCoverage>> read_coverage_answer(
    const std::vector<std::vector<std::string>>& lines);

// What holds of all boxes by that, each under its name. Two streams of one name that overlap are of two
// boxes: each then has its stream in its name, and must prove what the other does.
[[nodiscard]] std::vector<Coverage> coverage_of_boxes(std::vector<StoredCoverage> stored);

}  // namespace natsession::clickhouse
