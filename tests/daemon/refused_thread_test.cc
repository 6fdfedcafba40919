#include "refused_thread.h"

#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "support/manual_clock.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kWindow{10};
const UnixNs kNow{1'700'000'003s};

// What is told of refused packets by a thread that reads from this descriptor, and is stopped in its first
// window.
std::vector<SessionRecord> told_of_a_run(UniqueFd fd) {
  REQUIRE(fd);
  const ManualClock clock(kNow);
  const Origin origin{"here", ""};
  MemoryLog log(DeliverySettings{}, clock);
  Producer& producer = log.add_producer();
  Notifier notifier;
  LogReader& reader = log.add_reader("test", notifier);
  auto refused = RefusedReader::adopt(std::move(fd), {100}, clock, CopySequence::From::kZero);
  REQUIRE(refused);
  auto names = InterfaceTable::open();
  REQUIRE(names);
  RefusedThread thread({.windows = {kWindow}}, *std::move(refused), *std::move(names), origin, VpcMap(),
                       producer, clock);
  REQUIRE(thread.start());
  thread.request_stop();
  thread.join();
  const auto block = reader.read();
  REQUIRE(block);
  return {block->records.begin(), block->records.end()};
}

TEST_CASE("of a run's first window it is known that copies before it were taken by nobody") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  const UniqueFd other(ends[1]);
  const auto told = told_of_a_run(UniqueFd(ends[0]));
  REQUIRE(told.size() == 1);
  CHECK(told[0].flow_kind == FlowKind::kSkipped);
  CHECK(told[0].start_time == UnixMs(1'699'999'990s));
  CHECK(told[0].end_time == UnixMs(1'700'000'003s));
}

TEST_CASE("where copies cannot be read any more, each window says that refused packets are missing") {
  // Reading from a socket that is not connected fails.
  const auto told = told_of_a_run(UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
  REQUIRE(told.size() == 2);
  CHECK(told[0].flow_kind == FlowKind::kSkipped);
  CHECK(told[0].start_time == UnixMs(1'700'000'000s));
  CHECK(told[0].end_time == UnixMs(1'700'000'003s));
  CHECK_FALSE(told[0].events_lost.known());
  CHECK(told[0].iif.empty());
  CHECK(told[0].oif.empty());
}

}  // namespace
}  // namespace natsession::testing
