// CsvText: a list that somebody keeps of who has which addresses:
//
//   prefix,name,from,until
//   10.0.7.0/24,Chen family,2026-11-01,
//   203.0.113.9,web shop,2026-01-01T00:00:00Z,2026-12-01T00:00:00+08:00
//
// The first line names the columns, in any order: prefix and name must be there, from, until, mac, host and
// id may be. Times as time_of() reads them; an empty one: since ever, for ever. "…" around what has a comma.
// An empty line and one that begins with # say nothing. Rows that end before others of their prefix begin may
// stand in any order. A prefix has one row at a time: a second one that holds now is refused, and of rows
// that are over one of the same beginning and id.
// Threads: one.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/seeded_hash.h"
#include "identity/sources/file_text.h"

namespace natsession {

class CsvText final : public FileText {
 public:
  [[nodiscard]] FileHabit habit() const override { return FileHabit::kRewritten; }
  void begin() override;
  void line(std::string_view line, const LineTime& time, IdentityOutput& output) override;
  [[nodiscard]] bool last_line_may_be_open() const override { return true; }
  // What is over is told first, so that who came later is told later.
  [[nodiscard]] bool wants_another_pass() override;
  [[nodiscard]] std::optional<UnixMs> next_change() const override { return next_change_; }

 private:
  enum Column : std::size_t { kPrefix, kName, kFrom, kUntil, kMac, kHost, kId, kColumns };

  void read_header(IdentityOutput& output);

  std::vector<std::string> cells_;
  std::array<std::size_t, kColumns> places_{};
  bool has_header_ = false;
  bool header_failed_ = false;
  bool second_pass_ = false;
  std::optional<UnixMs> next_change_;
  SeededHash hash_ = SeededHash::random();
  std::unordered_set<std::uint64_t> told_;  // in this pass: hashes of what names a row
};

}  // namespace natsession
