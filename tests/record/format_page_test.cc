// lib/record/FORMAT.md is what readers of the log rely on: its examples are what the code says.
#include <array>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "record/fields.h"
#include "record/golden.h"

namespace natsession::testing {
namespace {

std::vector<std::string> page_lines() {
  std::ifstream file(NATSESSION_FORMAT_PAGE);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line + "\n");
  return lines;
}

bool page_has_line(std::string_view wanted) {
  const auto lines = page_lines();
  return std::find(lines.begin(), lines.end(), wanted) != lines.end();
}

TEST_CASE("the example lines of FORMAT.md are what the encoders write", "[record][format_page]") {
  REQUIRE_FALSE(page_lines().empty());
  for (const RecordFormat format : {RecordFormat::kJson, RecordFormat::kCsv, RecordFormat::kLogfmt}) {
    for (const SessionRecord& record : {golden_tcp(), golden_gap()}) {
      const std::string line = encode(record, {.format = format});
      INFO(line);
      CHECK(page_has_line(line));
    }
  }
  const auto cloud = make_encoder({.format = RecordFormat::kCsv, .fields = FieldSet::kCloud});
  CHECK(page_has_line(make_encoder({.format = RecordFormat::kCsv})->header()));
  CHECK(page_has_line(cloud->header()));
  std::string gap;
  cloud->append(golden_gap(), gap);
  CHECK(page_has_line(gap));
}

TEST_CASE("FORMAT.md has a row for every field, in order, and no other", "[record][format_page]") {
  std::vector<std::string> documented;
  for (const std::string& line : page_lines()) {
    if (line.starts_with("| `")) documented.push_back(line.substr(3, line.find('`', 3) - 3));
  }
  std::vector<std::string> expected;
  for (const FieldSpec& spec : kFields) expected.emplace_back(spec.name);
  CHECK(documented == expected);
}

TEST_CASE("the worked example of session_id in FORMAT.md is that of its example record",
          "[record][format_page]") {
  // The page's bytes, written here once more from the record, not by the code under test.
  std::ostringstream id;
  id << std::hex << golden_tcp().session_id;
  CHECK(page_has_line("session_id   " + id.str() + "\n"));

  std::string bytes;
  bool inside = false;
  for (const std::string& line : page_lines()) {
    if (line.starts_with("zone         ")) inside = true;
    if (line.starts_with("session_id   ")) inside = false;
    if (inside) bytes += line.substr(13, line.find("  ", 13) - 13);
  }
  std::erase_if(bytes, [](char byte) { return byte == ' ' || byte == '\n'; });
  // Oracle: Python's struct and ipaddress; xxhsum -H3 makes the id above of it.
  CHECK(bytes ==
        "00000600000000000000000000ffffc0a80117c93a00000000000000000000ffffc633645001bb00000000000000000000ff"
        "ffcb007107"
        "9cbb000000000000000000000000000000000000000001a1fe07f71e");
}

}  // namespace
}  // namespace natsession::testing
