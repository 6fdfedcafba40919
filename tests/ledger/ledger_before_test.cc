// A ledger that an earlier version wrote is read, and gone on with.
#include <catch2/catch.hpp>

#include "ledger/cursor.h"
#include "ledger/verify_ledger.h"
#include "ledger_fixture.h"

namespace natsession::testing {
namespace {

TEST_CASE("a ledger of version 0.1.0 is read, verified, and written on", "[ledger][before]") {
  TempDir temp;
  LedgerSettings settings;
  settings.directory = temp.file("ledger");
  std::filesystem::copy(NATSESSION_LEDGER_BEFORE, settings.directory,
                        std::filesystem::copy_options::recursive);
  CHECK(read_ledger(settings.directory).numbers == numbers(0, 50));
  const auto verified = verify_ledger(settings.directory);
  REQUIRE(verified);
  CHECK(verified->records == 50);
  CHECK(verified->sound());
  const auto cursor = Cursor::open(settings.directory, "file:/var/log/nat.json");
  REQUIRE(cursor);
  CHECK(cursor->state()->next == 25);
  const auto segments = SegmentList::open(settings.directory);
  REQUIRE(segments);
  REQUIRE(segments->entries().size() == 2);
  for (const SegmentEntry& entry : segments->entries()) CHECK(entry.window == std::chrono::minutes(10));

  ManualClock clock{UnixNs(kTestStart + std::chrono::hours(2))};
  {
    const auto writer = LedgerWriter::open(settings, clock);
    REQUIRE(writer);
    REQUIRE((*writer)->previous_run());
    CHECK_FALSE((*writer)->previous_run()->crashed);
    CHECK((*writer)->previous_run()->until == at_second(50));
    const SessionRecord record = numbered_record(50);
    CHECK((*writer)->append({&record, 1}) == 1);
  }
  Compactor compactor(settings, clock);
  while (compactor.step() == std::chrono::nanoseconds(0)) {
  }
  CHECK(read_ledger(settings.directory).numbers == numbers(0, 51));
}

}  // namespace
}  // namespace natsession::testing
