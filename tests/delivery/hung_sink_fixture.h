// Two sinks, of which one hangs, on a clock that the test moves.
#pragma once

#include <catch2/catch.hpp>

#include "delivery/delivery_fixture.h"

namespace natsession::testing {

inline constexpr std::size_t kHealthy = 0;
inline constexpr std::size_t kHung = 1;

// Two sinks; the test does not run the worker of the second, as if it hung in deliver().
class HungSinkFixture : public DeliveryFixture {
 public:
  HungSinkFixture() : DeliveryFixture(sinks({{}, {}}), {.queue_batches = 32}) {}

  // As the collector does: emits while there is room; the healthy sink takes it.
  void turn(std::uint32_t records) {
    if (producer->has_room()) {
      emit(next, next + records);
      next += records;
    }
    producer->flush();
    run(kHealthy);
  }
  void fill_the_hung_queue() {
    while (producer->has_room()) turn(RecordOutput::kRoom);
  }
  void leave_behind() {
    fill_the_hung_queue();
    in_queue = next;
    clock.advance(std::chrono::seconds(10));
    REQUIRE_FALSE(producer->has_room());
    REQUIRE(producer->has_room());
  }

  std::uint32_t next = 0;
  std::uint32_t in_queue = 0;  // of the hung sink
};

}  // namespace natsession::testing
