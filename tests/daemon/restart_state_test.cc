#include "restart_state.h"

#include <catch2/catch.hpp>

#include "ledger/ledger_fixture.h"

namespace natsession::testing {
namespace {

TEST_CASE("a clock that is set back between two frames does not make the sessions before it forgotten",
          "[daemon][restart]") {
  LedgerFixture ledger;
  SessionRecord open = numbered_record(1000);
  open.event = RecordEvent::kInterim;
  open.seq = 0;
  REQUIRE(ledger.writer->append({&open, 1}) == 1);
  REQUIRE(ledger.writer->sync());
  if (GENERATE(false, true)) ledger.next_segment();  // the older ones in the same one, or in their own
  ledger.frame(1, 10);
  const auto left_open = sessions_left_open(ledger.directory(), at_second(500), {&test_origin()});
  REQUIRE(left_open);
  CHECK(left_open->at(0).size() == 1);
}

}  // namespace
}  // namespace natsession::testing
