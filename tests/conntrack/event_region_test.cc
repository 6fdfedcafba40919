// What a killed process left, as its successor finds it: the memory is looked at as it was at that moment.
#include "conntrack/event_region.h"

#include <sys/mman.h>

#include <cstring>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "conntrack/event_journal.h"

namespace natsession::testing {
namespace {

constexpr std::uint64_t kNoRound = 0;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Memory {
  explicit Memory(std::size_t size = 4096) : bytes(size) {}
  EventJournal::State state;
  std::vector<std::byte> bytes;

  EventJournal journal() { return {state, bytes}; }
  // What a successor with a log that ends at `written` is given.
  std::vector<std::string> left(std::uint64_t written, std::uint64_t round = kNoRound) {
    EventJournal successor = journal();
    REQUIRE(successor.take_up(written, round));
    std::vector<std::string> messages;
    for (auto next = successor.next(); !next.empty(); next = successor.next())
      messages.push_back(text_of(next));
    CHECK(messages.size() == successor.taken());
    return messages;
  }
};

using Texts = std::vector<std::string>;

TEST_CASE("a successor is given the ends whose records are not in the log's files", "[conntrack][handover]") {
  Memory memory;
  EventJournal journal = memory.journal();
  for (const char* const text : {"one", "two", "three", "four"}) journal.add(bytes_of(text), 1, 0);
  journal.recorded(2, 10);  // "one" and "two" have records below 10
  journal.recorded(3, 12);
  SECTION("a log that ends before all of them") {
    CHECK(memory.left(9) == Texts{"one", "two", "three", "four"});
  }
  SECTION("a log that ends between two appends") {
    CHECK(memory.left(10) == Texts{"three", "four"});
  }
  SECTION("what is handled and not appended is never in the log") {
    CHECK(memory.left(12) == Texts{"four"});
  }
  SECTION("what was released is gone") {
    journal.release(11);
    CHECK(memory.left(11) == Texts{"three", "four"});
  }
  SECTION("a successor that is killed as well leaves the same") {
    CHECK(memory.left(10) == Texts{"three", "four"});
    CHECK(memory.left(10) == Texts{"three", "four"});
  }
  SECTION("the successor's own records take the place of those that were lost") {
    EventJournal successor = memory.journal();
    REQUIRE(successor.take_up(10, kNoRound));
    successor.add(bytes_of("five"), 2, 0);
    successor.recorded(1, 11);  // "three"
    CHECK(memory.left(11) == Texts{"four", "five"});
  }
}

TEST_CASE("a log that lacks what was released is no log to go on with", "[conntrack][handover]") {
  Memory memory;
  EventJournal journal = memory.journal();
  journal.add(bytes_of("one"), 1, 0);
  journal.recorded(1, 10);
  journal.release(10);
  EventJournal successor = memory.journal();
  CHECK_FALSE(successor.take_up(9, kNoRound));
  CHECK(successor.next().empty());
}

TEST_CASE("a journal goes round its memory, and says when it is full", "[conntrack][handover]") {
  Memory memory(1024);
  EventJournal journal = memory.journal();
  std::uint64_t count = 0;
  for (std::uint64_t round = 0; round < 100; ++round) {
    Texts added;
    while (journal.has_room(1, 100)) {
      added.push_back(std::to_string(count) + std::string(1 + count % 99, 'x'));
      added.back().resize(std::min<std::size_t>(added.back().size(), 100));
      journal.add(bytes_of(added.back()), round, 0);
      ++count;
    }
    REQUIRE(added.size() > 4);
    REQUIRE(memory.left(count - added.size()) == added);
    journal.recorded(count, count);
    journal.release(count);
    REQUIRE(memory.left(count).empty());
  }
}

TEST_CASE("a message that was journaled is not taken from its slot once more", "[conntrack][handover]") {
  Memory memory;
  EventJournal journal = memory.journal();
  journal.add(bytes_of("before"), 6, 1);
  journal.add(bytes_of("now"), 7, 3);
  EventJournal successor = memory.journal();
  REQUIRE(successor.take_up(0, 7));
  CHECK(successor.has(3));
  CHECK_FALSE(successor.has(1));  // of another round: the slot has another message since
}

TEST_CASE("damaged memory is told, and never read beyond", "[conntrack][handover]") {
  Memory memory;
  EventJournal journal = memory.journal();
  journal.add(bytes_of("one"), 1, 0);
  journal.add(bytes_of("two"), 1, 1);
  const std::uint32_t impossible = GENERATE(4096U, 0x7fffffffU, 0xfffffffeU);
  std::memcpy(memory.bytes.data() + 8, &impossible, sizeof impossible);  // the length of the first
  EventJournal successor = memory.journal();
  CHECK_FALSE(successor.take_up(0, kNoRound));
  CHECK(successor.next().empty());
}

TEST_CASE("what is settled is whole or not there, and what is not is a gap", "[conntrack][handover]") {
  auto region = EventRegion::make(8192);
  REQUIRE(region);
  CHECK_FALSE((*region)->settled());
  for (std::uint64_t i = 1; i <= 3; ++i) {
    (*region)->set_settled(Settled{{.complete_until = {}, .covered_from = UnixMs(), .dropped = i}, i});
    const auto successor = EventRegion::adopt(UniqueFd(::dup((*region)->fd())));
    REQUIRE(successor);
    REQUIRE((*successor)->settled());
    CHECK((*successor)->settled()->continuation.dropped == i);
    CHECK((*successor)->settled()->conditions == i);
  }
  SECTION("something is missing in the log") {
    (*region)->set_settled(std::nullopt);
  }
  SECTION("the guard saw that the kernel sent no events") {
    (*region)->saw_silence();
  }
  CHECK_FALSE((*region)->settled());
}

TEST_CASE("memory of another make is refused", "[conntrack][handover]") {
  const auto refused = [](UniqueFd fd) {
    const auto region = EventRegion::adopt(std::move(fd));
    REQUIRE_FALSE(region);
    CHECK(region.error().kind == ErrorKind::kMalformed);
  };
  SECTION("a file") {
    refused(UniqueFd(::open("/dev/null", O_RDWR)));
  }
  SECTION("memory that could be cut short") {
    UniqueFd memory(::memfd_create("other", MFD_CLOEXEC));
    REQUIRE(::ftruncate(memory.get(), 1 << 20) == 0);
    refused(std::move(memory));
  }
  SECTION("another version's") {
    auto memory = MemoryRegion::shared("other", 1 << 20);
    REQUIRE(memory);
    refused(UniqueFd(::dup(memory->fd())));
  }
  SECTION("less than a region") {
    auto memory = MemoryRegion::shared("other", 4096);
    REQUIRE(memory);
    refused(UniqueFd(::dup(memory->fd())));
  }
}

}  // namespace
}  // namespace natsession::testing
