#include <array>
#include <thread>

#include <catch2/catch.hpp>

#include "sink/loopback.h"
#include "sink/sink_fixture.h"
#include "sink/syslog_reader.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

class StreamFixture {
 public:
  explicit StreamFixture(int receive_buffer = 0) : listener(receive_buffer) {}
  std::unique_ptr<Sink> open(const std::string& options = "") {
    auto opened = open_sink("syslog+tcp://" + listener.place() + options, {}, clock);
    if (!opened) FAIL(opened.error().message);
    return std::move(*opened);
  }
  ManualClock clock{UnixNs(0s)};
  Listener listener;
};

class SmallBuffers : public StreamFixture {
 public:
  SmallBuffers() : StreamFixture(4096) {}
};

}  // namespace

TEST_CASE_METHOD(StreamFixture, "a TCP receiver gets messages with their lengths", "[sink][syslog]") {
  auto sink = open();
  CHECK(sink->deliver(numbered_records(0, 50)).kind == Answer::Kind::kDelivered);
  const UniqueFd peer = listener.accept();
  CHECK(numbers_of(split_octets(read_available(peer.get()))) == numbers(0, 50));
  CHECK(sink->deliver(numbered_records(50, 51)).taken == 1);
  CHECK(numbers_of(split_octets(read_available(peer.get()))) == numbers(50, 51));
  CHECK_FALSE(listener.somebody_waits());
}

TEST_CASE_METHOD(StreamFixture, "an old TCP receiver gets messages with newlines", "[sink][syslog]") {
  auto sink = open("?framing=newline");
  CHECK(sink->deliver(numbered_records(0, 10)).kind == Answer::Kind::kDelivered);
  const UniqueFd peer = listener.accept();
  CHECK(numbers_of(split_lines(read_available(peer.get()))) == numbers(0, 10));
}

TEST_CASE_METHOD(StreamFixture, "a receiver that went between two batches is connected to again",
                 "[sink][syslog]") {
  auto sink = open();
  CHECK(sink->deliver(numbered_records(0, 1)).taken == 1);
  UniqueFd first = listener.accept();
  std::uint32_t before = 1;
  SECTION("in good order") {
    CHECK(numbers_of(split_octets(read_available(first.get()))) == numbers(0, 1));
    first.reset();
  }
  SECTION("in a crash, which may have lost what it had") {
    testing::reset_connection(first);
    before = 0;
  }
  CHECK(sink->deliver(numbered_records(1, 3)).kind == Answer::Kind::kDelivered);
  const UniqueFd second = listener.accept();
  CHECK(numbers_of(split_octets(read_available(second.get()))) == numbers(before, 3));
}

TEST_CASE_METHOD(StreamFixture, "a receiver that is not there is tried again, and found when it is",
                 "[sink][syslog]") {
  auto sink = open();
  listener.close();
  for (int tries = 0; tries < 2; ++tries) {
    const Answer answer = sink->deliver(numbered_records(0, 2));
    CHECK(answer.kind == Answer::Kind::kRetryLater);
    CHECK(answer.taken == 0);
    CHECK_THAT(answer.why, Contains(listener.place()) && Contains("refused"));
  }
  listener.listen_again();
  CHECK(sink->deliver(numbered_records(0, 2)).kind == Answer::Kind::kDelivered);
  const UniqueFd peer = listener.accept();
  CHECK(numbers_of(split_octets(read_available(peer.get()))) == numbers(0, 2));
}

TEST_CASE_METHOD(SmallBuffers, "a receiver that stops reading gets the batch again on another connection",
                 "[sink][syslog]") {
  auto sink = open("?timeout=100ms");
  const auto records = numbered_records(0, 20'000);
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains(listener.place()) && Contains("takes nothing more"));
  const UniqueFd first = listener.accept();
  const auto got = numbers_of(split_octets(read_available(first.get())));
  CHECK((got == numbers(0, static_cast<std::uint32_t>(got.size()))));
  CHECK(sink->deliver(std::span(records).first(2)).kind == Answer::Kind::kDelivered);
  const UniqueFd second = listener.accept();
  CHECK(numbers_of(split_octets(read_available(second.get()))) == numbers(0, 2));
}

TEST_CASE_METHOD(SmallBuffers, "a batch whose connection dies under it is sent again as a whole",
                 "[sink][syslog]") {
  auto sink = open("?timeout=5s");
  const auto records = numbered_records(0, 2000);
  std::thread crash([&] {
    UniqueFd peer = listener.accept();
    std::array<char, 1000> some;
    CHECK(::read(peer.get(), some.data(), some.size()) > 0);
    testing::reset_connection(peer);
  });
  const Answer answer = sink->deliver(records);
  crash.join();
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains(listener.place()) && Contains("reset"));
}

TEST_CASE_METHOD(StreamFixture, "what a receiver had not read when it died is sent again", "[sink][syslog]") {
  auto sink = open();
  CHECK(sink->deliver(numbered_records(0, 10)).taken == 10);
  CHECK(sink->deliver(numbered_records(10, 20)).taken == 10);
  UniqueFd first = listener.accept();
  testing::reset_connection(first);
  std::uint32_t last = 20;
  SECTION("with the next batch") {
    CHECK(sink->deliver(numbered_records(20, 30)).taken == 10);
    last = 30;
  }
  SECTION("when nothing comes for a while") {
    CHECK(sink->flush());
  }
  SECTION("when there is somebody again") {
    listener.close();
    const auto flushed = sink->flush();
    REQUIRE_FALSE(flushed);
    CHECK_THAT(flushed.error().message, Contains("refused"));
    CHECK(sink->deliver(numbered_records(20, 30)).taken == 0);
    listener.listen_again();
    CHECK(sink->flush());
  }
  SECTION("also if it dies again") {
    CHECK(sink->flush());
    UniqueFd second = listener.accept();
    testing::reset_connection(second);
    CHECK(sink->flush());
  }
  const UniqueFd next = listener.accept();
  CHECK(numbers_of(split_octets(read_available(next.get()))) == numbers(0, last));
}

TEST_CASE_METHOD(StreamFixture, "what a receiver had read when it closed is not sent again",
                 "[sink][syslog]") {
  auto sink = open();
  CHECK(sink->deliver(numbered_records(0, 10)).taken == 10);
  UniqueFd first = listener.accept();
  CHECK(numbers_of(split_octets(read_available(first.get()))) == numbers(0, 10));
  first.reset();
  CHECK(sink->flush());
  CHECK_FALSE(listener.somebody_waits());
}

TEST_CASE("of what a receiver may not have read, the last megabyte is kept", "[sink][syslog]") {
  StreamFixture f;
  auto sink = f.open();
  UniqueFd first;
  for (std::uint32_t number = 0; number < 4000; number += 50) {
    CHECK(sink->deliver(numbered_records(number, number + 50)).taken == 50);
    if (!first) first = f.listener.accept();
    static_cast<void>(read_available(first.get()));
  }
  testing::reset_connection(first);
  std::string got;
  std::thread reader([&] {
    const UniqueFd peer = f.listener.accept();
    got = testing::read_to_end(peer.get());
  });
  CHECK(sink->flush());
  sink.reset();
  reader.join();
  const auto again = numbers_of(split_octets(got));
  CHECK((got.size() >= (1 << 20) && got.size() < (1 << 20) + 70'000));
  CHECK((again == numbers(again.front(), 4000)));
}

TEST_CASE_METHOD(StreamFixture, "a batch that was read whole by a receiver that then closes is delivered",
                 "[sink][syslog]") {
  auto sink = open("?timeout=5s");
  std::string got;
  std::thread reader([&] {
    const UniqueFd peer = listener.accept();
    while (split_octets(got).size() < 100) {
      std::array<char, 4096> part;
      const ssize_t count = ::read(peer.get(), part.data(), part.size());
      if (count <= 0) return;
      got.append(part.data(), static_cast<std::size_t>(count));
    }
  });
  const Answer answer = sink->deliver(numbered_records(0, 100));
  reader.join();
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK(numbers_of(split_octets(got)) == numbers(0, 100));
}

TEST_CASE("a host that does not answer is waited for no longer than the timeout", "[sink][syslog]") {
  // A listener whose queue is full answers no SYN.
  const Listener listener(0, 0);
  std::vector<UniqueFd> waiting;
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  REQUIRE(::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  for (int i = 0; i < 4; ++i) {
    UniqueFd& fd = waiting.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length);
  }
  const ManualClock clock{UnixNs(0s)};
  auto sink = std::move(*open_sink("syslog+tcp://" + listener.place() + "?timeout=100ms", {}, clock));
  const Answer answer = sink->deliver(numbered_records(0, 1));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(answer.why, Contains(listener.place()) && Contains("timed out"));
}

TEST_CASE_METHOD(StreamFixture, "a message that is too long is rejected and the others go on",
                 "[sink][syslog]") {
  const Origin origin{std::string(3000, 'x'), ""};
  std::vector<SessionRecord> records = numbered_records(0, 3);
  records[1].origin = &origin;
  auto sink = open("?max_message=2048");
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRejected);
  CHECK(answer.taken == 1);
  CHECK_THAT(answer.why, Contains("2048"));
  CHECK(sink->deliver(std::span(records).subspan(2)).kind == Answer::Kind::kDelivered);
  const UniqueFd peer = listener.accept();
  CHECK(numbers_of(split_octets(read_available(peer.get()))) == std::vector<std::uint32_t>{0, 2});
}

TEST_CASE_METHOD(StreamFixture, "reopening ends the connection in good order", "[sink][syslog]") {
  auto sink = open();
  CHECK(sink->deliver(numbered_records(0, 1)).taken == 1);
  const UniqueFd first = listener.accept();
  CHECK(sink->reopen());
  CHECK(numbers_of(split_octets(testing::read_to_end(first.get()))) == numbers(0, 1));
  CHECK(sink->deliver(numbered_records(1, 2)).taken == 1);
  const UniqueFd second = listener.accept();
  sink.reset();
  CHECK(numbers_of(split_octets(testing::read_to_end(second.get()))) == numbers(1, 2));
}
