#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "sink/loopback.h"
#include "sink/sink_fixture.h"
#include "sink/syslog_reader.h"
#include "support/private_network.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

class DatagramFixture {
 public:
  std::unique_ptr<Sink> open(const std::string& url) {
    auto opened = open_sink(url, {}, clock);
    if (!opened) FAIL(opened.error().message);
    return std::move(*opened);
  }
  const TempDir directory;
  ManualClock clock{UnixNs(0s)};
};

// The socket, until it takes something.
Answer deliver_at_last(Sink& sink, const std::vector<SessionRecord>& records) {
  Answer answer;
  testing::eventually([&] {
    answer = sink.deliver(records);
    return answer.kind == Answer::Kind::kDelivered;
  });
  return answer;
}

}  // namespace

TEST_CASE_METHOD(DatagramFixture, "a local socket gets a message a datagram", "[sink][syslog]") {
  LocalPeer peer(directory.file("log"));
  auto sink = open("syslog:" + peer.path() + "?facility=local3&severity=notice");
  const auto records = numbered_records(0, 3);
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  const auto messages = peer.take();
  CHECK(numbers_of(messages) == numbers(0, 3));
  CHECK(testing::read_syslog(messages[0]).facility == 19);
  CHECK(testing::read_syslog(messages[0]).severity == 5);
  CHECK(testing::read_syslog(messages[0]).process == std::to_string(::getpid()));
}

TEST_CASE_METHOD(DatagramFixture, "a full local socket is waited for, then given up for now",
                 "[sink][syslog]") {
  LocalPeer peer(directory.file("log"));
  auto sink = open("syslog:" + peer.path() + "?timeout=100ms");
  const auto records = numbered_records(0, 2000);
  std::size_t taken = 0;
  std::vector<std::string> got;
  int refusals = 0;
  while (taken < records.size()) {
    const Answer answer =
        sink->deliver(std::span(records).subspan(taken, std::min<std::size_t>(500, records.size() - taken)));
    taken += answer.taken;
    if (answer.kind != Answer::Kind::kDelivered) {
      CHECK(answer.kind == Answer::Kind::kRetryLater);
      CHECK_THAT(answer.why, Contains(peer.path()) && Contains("full"));
      ++refusals;
    }
    for (auto& message : peer.take()) got.push_back(std::move(message));
    REQUIRE(got.size() == taken);
    if (refusals == 3) break;  // each costs the timeout
  }
  CHECK(refusals > 0);
  CHECK(numbers_of(got) == numbers(0, static_cast<std::uint32_t>(taken)));
}

TEST_CASE_METHOD(DatagramFixture, "a local socket that never was is a target that does not exist",
                 "[sink][syslog]") {
  auto sink = open("syslog:" + directory.file("log"));
  const Answer answer = sink->deliver(numbered_records(0, 1));
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kProjectNotExist);
  CHECK_THAT(answer.why,
             Contains(directory.file("log")) && Contains("No such file") && Contains("daemon running?"));
}

TEST_CASE_METHOD(DatagramFixture, "a local socket that goes is waited for, for the timeout",
                 "[sink][syslog]") {
  LocalPeer peer(directory.file("log"));
  auto sink = open("syslog:" + peer.path() + "?timeout=10s");
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
  peer.remove();
  const auto records = numbered_records(1, 3);
  for (int tries = 0; tries < 3; ++tries) {
    const Answer answer = sink->deliver(records);
    CHECK(answer.kind == Answer::Kind::kRetryLater);
    CHECK(answer.taken == 0);
    clock.advance(3s);
  }
  SECTION("if it comes back, all is well") {
    peer.listen();
    CHECK(sink->deliver(records).taken == 2);
    CHECK(numbers_of(peer.take()) == numbers(1, 3));
  }
  SECTION("if not, it does not exist") {
    clock.advance(2s);
    CHECK(sink->deliver(records).code == TargetCode::kProjectNotExist);
    CHECK(sink->deliver(records).kind == Answer::Kind::kTargetFailed);
  }
}

TEST_CASE_METHOD(DatagramFixture, "a local socket that nobody listens on is tried again", "[sink][syslog]") {
  LocalPeer peer(directory.file("log"));
  auto sink = open("syslog:" + peer.path());
  CHECK(sink->deliver(numbered_records(0, 1)).taken == 1);
  peer.crash();
  for (int tries = 0; tries < 2; ++tries) {
    const Answer answer = sink->deliver(numbered_records(1, 2));
    CHECK(answer.kind == Answer::Kind::kRetryLater);
    CHECK_THAT(answer.why, Contains("refused"));
  }
  peer.listen();
  CHECK(sink->deliver(numbered_records(1, 2)).taken == 1);
  CHECK(numbers_of(peer.take()) == numbers(1, 2));
}

TEST_CASE_METHOD(DatagramFixture, "what is no datagram socket does not do as one", "[sink][syslog]") {
  std::string path = directory.file("log");
  std::string cause;
  UniqueFd stream;
  SECTION("a file") {
    testing::write_file(path, "");
    const Answer answer = open("syslog:" + path)->deliver(numbered_records(0, 1));
    CHECK((answer.kind == Answer::Kind::kRetryLater || answer.code == TargetCode::kProjectNotExist));
    return;
  }
  SECTION("a stream socket") {
    stream.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    REQUIRE(::bind(stream.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    cause = "no datagrams";
  }
  SECTION("a path through a file") {
    testing::write_file(path, "");
    path += "/log";
    cause = "Not a directory";
  }
  SECTION("a path that is too long") {
    path = "/" + std::string(200, 'x');
    cause = "too long";
  }
  const Answer answer = open("syslog:" + path)->deliver(numbered_records(0, 1));
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kProjectNotExist);
  CHECK_THAT(answer.why, Contains(path) && Contains(cause));
}

TEST_CASE_METHOD(DatagramFixture, "a local socket that may not be written to is Unauthorized",
                 "[sink][syslog]") {
  const LocalPeer peer(directory.file("log"));
  ::chmod(directory.path().c_str(), 0711);
  ::chmod(peer.path().c_str(), 0600);
  auto sink = open("syslog:" + peer.path());
  if (::geteuid() != 0) return;
  CHECK(testing::as_nobody([&] {
          const Answer answer = sink->deliver(numbered_records(0, 1));
          return answer.kind == Answer::Kind::kTargetFailed && answer.code == TargetCode::kUnauthorized ? 7
                                                                                                        : 0;
        }) == 7);
}

TEST_CASE_METHOD(DatagramFixture, "a UDP port gets a message a datagram", "[sink][syslog]") {
  const UdpPeer peer;
  auto sink = open("syslog+udp://" + peer.place());
  CHECK(sink->deliver(numbered_records(0, 500)).kind == Answer::Kind::kDelivered);
  CHECK(numbers_of(peer.take()) == numbers(0, 500));
  CHECK(sink->reopen());
  CHECK(sink->deliver(numbered_records(500, 501)).kind == Answer::Kind::kDelivered);
  CHECK(numbers_of(peer.take()) == numbers(500, 501));
}

TEST_CASE_METHOD(DatagramFixture,
                 "a UDP port that nobody listens on gets the whole batch again when somebody does",
                 "[sink][syslog]") {
  UdpPeer peer;
  auto sink = open("syslog+udp://" + peer.place());
  const auto records = numbered_records(0, 200);
  peer.close();
  Answer answer;
  CHECK(testing::eventually([&] {
    answer = sink->deliver(records);
    return answer.kind == Answer::Kind::kRetryLater;
  }));
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains(peer.place()) && Contains("refused"));
  peer.open_again();
  CHECK(deliver_at_last(*sink, records).taken == 200);
  CHECK(numbers_of(peer.take()) == numbers(0, 200));
}

TEST_CASE_METHOD(DatagramFixture, "a message that no datagram holds is rejected and the others go on",
                 "[sink][syslog]") {
  const UdpPeer peer;
  const Origin origin{std::string(40'000, 'x'), ""};
  std::vector<SessionRecord> records = numbered_records(0, 3);
  records[1].origin = &origin;
  auto sink = open("syslog+udp://" + peer.place() + "?max_message=65507");
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRejected);
  CHECK(answer.taken == 1);
  CHECK_THAT(answer.why, Contains("65507"));
  CHECK(sink->deliver(std::span(records).subspan(2)).taken == 1);
  CHECK(numbers_of(peer.take()) == std::vector<std::uint32_t>{0, 2});
}

TEST_CASE_METHOD(DatagramFixture, "a name that does not resolve is tried again", "[sink][syslog]") {
  auto sink = open("syslog+udp://no-such-host.invalid");
  const Answer answer = sink->deliver(numbered_records(0, 1));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(answer.why, Contains("resolve no-such-host.invalid"));
}
