#include "sink/transport/stream_writer.h"

#include <cerrno>
#include <csignal>

#include <catch2/catch.hpp>

#include "sink/local/stdout_sink.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace natsession::testing;
using Catch::Matchers::Contains;

namespace {

class WriterFixture {
 public:
  WriterFixture() : fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}

  const TempDir directory;
  const std::string path = directory.file("log");
  UniqueFd fd;
  StreamWriter writer{json()};
  const std::vector<SessionRecord> records = numbered_records(0, 100);
  const std::string text = text_of(records);
  const std::size_t line = text_of(numbered_records(0, 1)).size();  // of the first records
};

}  // namespace

TEST_CASE_METHOD(WriterFixture, "a writer writes a whole batch, large or small", "[sink][stream]") {
  const auto many = numbered_records(0, 3000);
  const auto written = writer.write(fd.get(), many);
  CHECK(written.taken == 3000);
  CHECK(written.error_number == 0);
  CHECK(read_file(path) == text_of(many));
  CHECK(written.bytes == text_of(many).size());
}

TEST_CASE_METHOD(WriterFixture,
                 "a record that is partly out is not taken, and completed when it is offered again",
                 "[sink][stream]") {
  // Cut in the second line, at every place of it.
  const auto cut = GENERATE_COPY(range(std::size_t{0}, std::size_t{300}, std::size_t{37}));
  const std::size_t limit = line + cut % line;
  {
    const FileSizeLimit full(limit);
    const auto written = writer.write(fd.get(), records);
    CHECK(written.taken == 1);
    CHECK(written.error_number == EFBIG);
    CHECK(written.bytes == limit);
    CHECK(writer.record_under_way() == (cut % line > 0));
    CHECK(writer.bytes_under_way() == cut % line);
    const auto still = writer.write(fd.get(), std::span(records).subspan(1));
    CHECK(still.taken == 0);
    CHECK(still.error_number == EFBIG);
  }
  const auto written = writer.write(fd.get(), std::span(records).subspan(1));
  CHECK(written.taken == 99);
  CHECK(written.error_number == 0);
  CHECK(read_file(path) == text);
}

TEST_CASE_METHOD(WriterFixture, "a record may need several tries to get out", "[sink][stream]") {
  std::size_t taken = 0;
  FileSizeLimit full(0);
  for (std::size_t limit = 10; taken < records.size(); limit += 10) {
    full.set(limit);
    taken += writer.write(fd.get(), std::span(records).subspan(taken)).taken;
    REQUIRE(numbers_in(read_file(path)).size() == taken);
  }
  CHECK(read_file(path) == text);
}

TEST_CASE_METHOD(WriterFixture,
                 "a record that finish() completed is counted by the next write and not written again",
                 "[sink][stream]") {
  {
    const FileSizeLimit full(line + 10);
    CHECK(writer.write(fd.get(), records).taken == 1);
    CHECK(writer.finish(fd.get()).error_number == EFBIG);
  }
  CHECK(writer.finish(fd.get()).error_number == 0);
  CHECK_FALSE(writer.record_under_way());
  CHECK(numbers_in(read_file(path)) == numbers(0, 2));
  CHECK(writer.write(fd.get(), std::span(records).subspan(1)).taken == 99);
  CHECK(read_file(path) == text);
}

TEST_CASE_METHOD(WriterFixture, "a prologue goes out once, before the first record, also through a full disk",
                 "[sink][stream]") {
  writer.begin("a header line\n");
  {
    const FileSizeLimit full(5);
    const auto written = writer.write(fd.get(), records);
    CHECK(written.taken == 0);
    CHECK_FALSE(writer.record_under_way());
  }
  CHECK(writer.write(fd.get(), records).taken == 100);
  CHECK(read_file(path) == "a header line\n" + text);
}

TEST_CASE_METHOD(WriterFixture, "records go out up to a limit, which no record passes", "[sink][stream]") {
  const auto written = writer.write(fd.get(), records, 3 * line + line / 2);
  CHECK(written.error_number == 0);
  CHECK(written.taken == 3);
  CHECK(written.bytes == 3 * line);
  CHECK(writer.write(fd.get(), std::span(records).subspan(3), line - 1).taken == 0);
  CHECK(writer.write(fd.get(), std::span(records).subspan(3), line - 1, /*first_always=*/true).taken == 1);
  CHECK(numbers_in(read_file(path)) == numbers(0, 4));
}

TEST_CASE("a descriptor that does not block and is full is waited for, then given up for now",
          "[sink][stream]") {
  testing::SmallPipe pipe;
  StreamWriter writer(json());
  const auto records = numbered_records(0, 200);
  std::string got;
  std::size_t taken = 0;
  while (taken < records.size()) {
    const auto written = writer.write(pipe.write.get(), std::span(records).subspan(taken));
    taken += written.taken;
    CHECK((written.error_number == EAGAIN || taken == records.size()));
    got += testing::read_available(pipe.read.get());
    CHECK(numbers_in(got).size() == taken);
  }
  CHECK(got == text_of(records));
}

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
