#include "sink/stdout_sink.h"

#include <csignal>

#include <catch2/catch.hpp>

#include "sink/lines.h"
#include "support/files.h"

using namespace natsession;
using Catch::Matchers::Contains;
using namespace natsession::testing;

TEST_CASE("stdout gets a line for each record", "[sink][stdout]") {
  SmallPipe pipe;
  StdoutSink sink("stdout", json(), pipe.write.get());
  const auto records = numbered_records(0, 3);
  const Answer answer = sink.deliver(records);
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK(answer.taken == 3);
  CHECK(testing::read_available(pipe.read.get()) == testing::text_of(records));
  CHECK(sink.name() == "stdout");
}

TEST_CASE("on stdout the header of csv comes first and once", "[sink][stdout]") {
  SmallPipe pipe;
  const EncoderOptions csv{.format = RecordFormat::kCsv};
  StdoutSink sink("stdout", make_encoder(csv), pipe.write.get());
  const std::string header(make_encoder(csv)->header());
  std::string expected = header;
  SECTION("with the first record") {}
  SECTION("or by itself, when none comes for a while") {
    REQUIRE(sink.flush());
    CHECK(testing::read_available(pipe.read.get()) == header);
    expected.clear();
  }
  const auto records = numbered_records(0, 2);
  CHECK(sink.deliver(records).taken == 2);
  CHECK(sink.deliver(records).taken == 2);
  const std::string lines = testing::text_of(records, csv);
  CHECK(testing::read_available(pipe.read.get()) == expected + lines + lines);
}

TEST_CASE("a stdout whose reader has gone is closed", "[sink][stdout]") {
  std::signal(SIGPIPE, SIG_IGN);
  SmallPipe pipe;
  StdoutSink sink("stdout", json(), pipe.write.get());
  pipe.read.reset();
  const auto records = numbered_records(0, 3);
  const Answer answer = sink.deliver(records);
  CHECK(answer.kind == Answer::Kind::kClosed);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains("stdout") && Contains("Broken pipe"));
  CHECK(sink.flush());
}

TEST_CASE("a stdout that is not open is no sink", "[sink][stdout]") {
  const auto sink = StdoutSink::open("stdout", json(), 987'654);
  REQUIRE_FALSE(sink);
  CHECK(sink.error().kind == ErrorKind::kUnavailable);
  CHECK_THAT(sink.error().message, Contains("stdout") && Contains("Bad file descriptor"));
}

TEST_CASE("a stdout on a full device is tried again", "[sink][stdout]") {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  REQUIRE(full);
  StdoutSink sink("stdout", json(), full.get());
  const Answer answer = sink.deliver(numbered_records(0, 3));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains("stdout") && Contains("No space left"));
}
