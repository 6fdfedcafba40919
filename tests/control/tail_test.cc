#include "tail.h"

#include <catch2/catch.hpp>

#include "ledger/ledger_reader.h"
#include "ledger/ledger_writer.h"
#include "support/manual_clock.h"
#include "support/numbered_record.h"
#include "support/temp_dir.h"
#include "verify.h"

namespace natsession::ctl {
namespace {

using namespace testing;  // NOLINT: the tests' own language

std::string line(const SessionRecord& record, RecordFormat format = RecordFormat::kJson,
                 bool with_netns = false) {
  std::string out;
  make_encoder({.format = format, .with_netns = with_netns})->append(record, out);
  return out;
}

RecordBlock block_of(std::uint32_t first, std::uint32_t count, const Origin& origin = test_origin()) {
  RecordBlock block;
  for (std::uint32_t number = first; number < first + count; ++number) {
    block.records.push_back(numbered_record(number, origin));
    block.ordinals.push_back(number);
  }
  return block;
}

TEST_CASE("tail prints the records of a ledger as its sinks do", "[control][tail]") {
  TempDir folder;
  const ManualClock clock{UnixNs(std::chrono::hours(1))};
  auto writer = LedgerWriter::open({.directory = folder.file("ledger")}, clock);
  REQUIRE(writer);
  const RecordBlock written = block_of(0, 20);
  REQUIRE((*writer)->append(written.records) == 20);
  REQUIRE((*writer)->sync());

  auto reader = LedgerReader::open(folder.file("ledger"));
  REQUIRE(reader);
  REQUIRE((*reader)->end() == 20);
  (*reader)->seek(17);
  RecordBlock block;
  REQUIRE((*reader)->read(block));
  std::string out;
  TailPrinter printer(RecordFormat::kJson, TimeFormat::kUnix);
  printer.append(block, out);
  // session_id is derived from what the record says, so it is compared as it was read.
  std::string expected;
  for (const SessionRecord& record : block.records) expected += line(record);
  CHECK(out == expected);
  REQUIRE(block.records.size() == 3);
  CHECK(block.records[0].seq == 17);
}

TEST_CASE("tail prints a header once, where the format has one", "[control][tail]") {
  TailPrinter printer(RecordFormat::kCsv, TimeFormat::kRfc3339);
  std::string out;
  printer.append(RecordBlock(), out);
  CHECK(out.empty());
  printer.append(block_of(0, 1), out);
  printer.append(block_of(1, 1), out);
  const auto encoder = make_encoder({.format = RecordFormat::kCsv, .time_format = TimeFormat::kRfc3339});
  std::string expected(encoder->header());
  encoder->append(numbered_record(0), expected);
  encoder->append(numbered_record(1), expected);
  CHECK(out == expected);
}

TEST_CASE("tail says which namespace a record is of when there are several", "[control][tail]") {
  const Origin blue{"nat-1", "blue"};
  TailPrinter printer(RecordFormat::kJson, TimeFormat::kUnix);
  std::string out;
  printer.append(block_of(0, 1, blue), out);
  CHECK(out.find("\"netns\":\"blue\"") != std::string::npos);
}

TEST_CASE("tail prints a gap record for what is missing, in the name of the log it is in",
          "[control][tail]") {
  TailPrinter printer(RecordFormat::kJson, TimeFormat::kUnix);
  std::string out;
  printer.append(block_of(0, 1), out);
  out.clear();
  Skipped skipped;
  skipped.first = 5;
  skipped.last = 9;
  skipped.reason = RecordReason::kDamaged;
  skipped.from = at_second(10);
  skipped.until = at_second(20);
  printer.append(skipped, out);
  CHECK(out.find("\"event\":\"gap\"") != std::string::npos);
  CHECK(out.find("\"instance\":\"nat-1\"") != std::string::npos);
  CHECK(out.find("\"reason\":\"damaged\"") != std::string::npos);
  CHECK(out.find("\"log_status\":\"SKIPDATA\"") != std::string::npos);
}

VerifyReport sample_report() {
  VerifyReport report;
  report.segments = 2;
  report.sealed_segments = 1;
  report.frames = 7;
  report.records = 100'000;
  report.bytes = 1'800'000;
  report.end = 100'005;
  return report;
}

TEST_CASE("a sound ledger is told to be sound", "[control][verify]") {
  VerifyReport report = sample_report();
  report.unfinished_bytes = 12;
  CHECK(verify_text("/ledger", report, false) ==
        "/ledger: 100,000 records in 7 frames and 2 segments, 1 sealed; 1.7 MiB\n"
        "12 bytes at the end are unfinished: just being written, or cut at the next start\n"
        "sound\n");
  CHECK(verify_json(report).find("\"sound\": true") != std::string::npos);
}

TEST_CASE("what is damaged is told with file, place and records", "[control][verify]") {
  VerifyReport report = sample_report();
  report.damaged_frames = 1;
  report.damaged.push_back({"00.seg", 4096, 512, true, 10, 14, "checksum"});
  report.missing_records = 5;
  report.missing.push_back({10, 14});
  report.unreadable.emplace_back("x.seg: version 9");
  report.lost_cursors.push_back({"file:/x", {.next = 100'006, .delivered_to = {}}});
  const std::string text = verify_text("/ledger", report, false);
  CHECK(text.find("damaged: 00.seg: 512 bytes at 4096, records 10 to 14: checksum\n") != std::string::npos);
  CHECK(text.find("missing: records 10 to 14\n") != std::string::npos);
  CHECK(text.find("unreadable: x.seg: version 9\n") != std::string::npos);
  CHECK(text.find("sink file:/x: its place, record 100006, is behind the end, 100005\n") !=
        std::string::npos);
  CHECK(text.find("1 damaged places, 5 records missing\n") != std::string::npos);
  CHECK(text.find("sound") == std::string::npos);
  CHECK(verify_json(report).find("\"sound\": false") != std::string::npos);
}

}  // namespace
}  // namespace natsession::ctl
