#include "sink/local/file_sink.h"

#include <sys/stat.h>

#include <csignal>

#include <catch2/catch.hpp>

#include "sink/sink_fixture.h"
#include "support/small_disk.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat status {};
  stat(path.c_str(), &status);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE_METHOD(FileFixture, "a file is made with its mode and appended to", "[sink][file]") {
  const mode_t before = umask(0);
  open("");
  CHECK(mode_of(path) == 0640);
  deliver(0, 10);
  open("?mode=0600");
  umask(before);
  deliver(10, 20);
  CHECK(mode_of(path) == 0640);
  CHECK(numbers_in(read_file(path)) == numbers(0, 20));
}

TEST_CASE_METHOD(FileFixture, "the mode that is asked for is the new file's", "[sink][file]") {
  const mode_t before = umask(0);
  open("?mode=0604");
  umask(before);
  CHECK(mode_of(path) == 0604);
}

TEST_CASE_METHOD(FileFixture, "a last line that a crash cut is ended before the first record",
                 "[sink][file]") {
  write_file(path, "whole\nto");
  open("");
  deliver(0, 2);
  CHECK(read_file(path) == "whole\nto\n" + text_of(numbered_records(0, 2)));
}

TEST_CASE_METHOD(FileFixture, "a file that ends in a newline, or is empty, needs none", "[sink][file]") {
  const std::string content = GENERATE("whole\n", "");
  write_file(path, content);
  open("");
  deliver(0, 2);
  CHECK(read_file(path) == content + text_of(numbered_records(0, 2)));
}

TEST_CASE_METHOD(FileFixture, "the header of csv stands in an empty file only", "[sink][file]") {
  const EncoderOptions csv{.format = RecordFormat::kCsv};
  open("?format=csv");
  deliver(0, 1);
  open("?format=csv");
  deliver(1, 2);
  CHECK(read_file(path) == std::string(make_encoder(csv)->header()) + text_of(numbered_records(0, 2), csv));
}

TEST_CASE_METHOD(FileFixture, "a file that is truncated under the log begins with the header again",
                 "[sink][file]") {
  const EncoderOptions csv{.format = RecordFormat::kCsv};
  const std::string header(make_encoder(csv)->header());
  open("?format=csv");
  deliver(0, 2);
  std::filesystem::resize_file(path, 0);
  SECTION("before the next record") {
    deliver(2, 4);
    CHECK(read_file(path) == header + text_of(numbered_records(2, 4), csv));
  }
  SECTION("also when none comes") {
    REQUIRE(sink->flush());
    CHECK(read_file(path) == header);
  }
  SECTION("and a line that got in between is moved out of the way") {
    write_file(path, text_of(numbered_records(7, 8), csv));
    CHECK(sink->deliver(numbered_records(2, 4)).kind == Answer::Kind::kDelivered);
    CHECK(read_file(path) == header + text_of(numbered_records(2, 4), csv));
  }
}

TEST_CASE_METHOD(FileFixture, "a truncated file of lines without a header loses none, and tears none",
                 "[sink][file]") {
  open("");
  deliver(0, 3);
  std::filesystem::resize_file(path, text_of(numbered_records(0, 1)).size() + 5);
  deliver(3, 4);
  const std::string text = read_file(path);
  CHECK(text.ends_with("\n" + text_of(numbered_records(3, 4))));
}

TEST_CASE_METHOD(FileFixture, "a file of other fields is renamed before the first record, not appended to",
                 "[sink][file]") {
  const EncoderOptions csv{.format = RecordFormat::kCsv};
  open(GENERATE("?format=csv&fields=cloud", "?format=json"));
  deliver(0, 2);
  const std::string before = read_file(path);
  open("?format=csv");
  CHECK(read_file(path) == before);  // a start may yet be refused
  const Answer answer = sink->deliver(numbered_records(2, 3));
  CHECK(answer.kind == Answer::Kind::kDelivered);
  const std::string away = path + ".other-header.20261121T143422Z";
  CHECK_THAT(answer.why, Contains(path) && Contains(away));
  CHECK(read_file(away) == before);
  deliver(3, 4);
  CHECK(read_file(path) == std::string(make_encoder(csv)->header()) + text_of(numbered_records(2, 4), csv));
}

TEST_CASE_METHOD(FileFixture,
                 "a file of other fields that cannot be renamed takes nothing, and says what would do",
                 "[sink][file]") {
  if (geteuid() != 0) return;
  write_file(path, "other,fields\n1,2\n");
  open("?format=csv");
  chmod(directory.path().c_str(), 0555);
  REQUIRE(seteuid(65534) == 0);
  const Answer answer = sink->deliver(numbered_records(0, 1));
  REQUIRE(seteuid(0) == 0);
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(answer.why, Contains(path) && Contains("another header") && Contains("move it away"));
  CHECK(read_file(path) == "other,fields\n1,2\n");
  std::filesystem::rename(path, directory.file("mine.csv"));
  deliver(0, 1);
  CHECK(read_file(path).ends_with(text_of(numbered_records(0, 1), {.format = RecordFormat::kCsv})));
}

TEST_CASE_METHOD(FileFixture, "a header goes out also when no record comes", "[sink][file]") {
  open("?format=csv");
  REQUIRE(sink->flush());
  CHECK(read_file(path) == make_encoder({.format = RecordFormat::kCsv})->header());
}

TEST_CASE_METHOD(FileFixture, "a name that cannot be a log's is refused with its cause", "[sink][file]") {
  std::string name;
  std::string cause;
  ErrorKind kind = ErrorKind::kUsage;
  SECTION("in a directory that is not there") {
    name = directory.file("no/such/log.json");
    cause = "the directory " + directory.file("no/such") + " does not exist";
  }
  SECTION("a directory") {
    name = directory.path().string();
    cause = "it is a directory";
  }
  SECTION("below a file") {
    write_file(directory.file("f"), "");
    name = directory.file("f/log.json");
    cause = "Not a directory";
  }
  SECTION("a file on a file system that is read-only") {
    name = "/proc/version";
    cause = ": ";
    kind = ErrorKind::kPermission;  // EACCES or EROFS, even for root
    if (geteuid() == 0) {
      name = "/proc/natsession.json";
      kind = ErrorKind::kUsage;  // ENOENT: no file can be made in /proc
    }
  }
  const auto opened = open_sink("file:" + name, {}, clock);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == kind);
  CHECK_THAT(opened.error().message, Contains(name) && Contains(cause));
}

TEST_CASE_METHOD(FileFixture, "a file that may not be written is a matter of permission", "[sink][file]") {
  write_file(path, "");
  chmod(path.c_str(), 0400);
  chmod(directory.path().c_str(), 0555);
  const std::string new_path = directory.file("new.json");
  if (geteuid() == 0) {
    REQUIRE(seteuid(65534) == 0);
    const auto opened = open_sink("file:" + path, {}, clock);
    const auto probed = probe_sink("file:" + path);
    const auto new_opened = open_sink("file:" + new_path, {}, clock);
    const auto new_probed = probe_sink("file:" + new_path);
    REQUIRE(seteuid(0) == 0);
    REQUIRE_FALSE(new_probed);
    REQUIRE_FALSE(new_opened);
    CHECK(new_probed.error().kind == ErrorKind::kPermission);
    CHECK(new_probed.error().message == new_opened.error().message);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().kind == ErrorKind::kPermission);
    CHECK_THAT(opened.error().message, Contains(path) && Contains("Permission denied"));
    REQUIRE_FALSE(probed);
    CHECK(probed.error().message == opened.error().message);
  } else {
    CHECK(open_sink("file:" + path, {}, clock).error().kind == ErrorKind::kPermission);
  }
}

TEST_CASE_METHOD(FileFixture, "/dev/null, /dev/stderr and a FIFO can be files of the log", "[sink][file]") {
  CHECK(open_sink("file:/dev/stderr", {}, clock));
  auto null = open_sink("file:/dev/null", {}, clock);
  REQUIRE(null);
  CHECK((*null)->deliver(numbered_records(0, 10)).taken == 10);

  std::signal(SIGPIPE, SIG_IGN);
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  open("");
  const auto records = numbered_records(0, 5);
  const Answer nobody = sink->deliver(records);
  CHECK(nobody.kind == Answer::Kind::kRetryLater);
  CHECK(nobody.taken == 0);
  CHECK_THAT(nobody.why, Contains(path) && Contains("Broken pipe"));
  const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  CHECK(sink->deliver(records).taken == 5);
  CHECK(numbers_in(testing::read_available(reader.get())) == numbers(0, 5));
}

TEST_CASE_METHOD(FileFixture, "after a rename the sink goes on in the old file until it is reopened",
                 "[sink][file]") {
  open("");
  deliver(0, 1);
  std::filesystem::rename(path, path + ".old");
  deliver(1, 2);
  REQUIRE(sink->reopen());
  deliver(2, 3);
  CHECK(numbers_in(read_file(path + ".old")) == numbers(0, 2));
  CHECK(numbers_in(read_file(path)) == numbers(2, 3));
}

TEST_CASE_METHOD(FileFixture, "a reopening that fails leaves the old file in use", "[sink][file]") {
  open("");
  deliver(0, 1);
  std::filesystem::rename(path, path + ".old");
  std::filesystem::create_directory(path);
  const auto reopened = sink->reopen();
  REQUIRE_FALSE(reopened);
  CHECK_THAT(reopened.error().message, Contains(path) && Contains("directory"));
  deliver(1, 2);
  CHECK(numbers_in(read_file(path + ".old")) == numbers(0, 2));
}

TEST_CASE_METHOD(FileFixture, "reopening a file that is still the same changes nothing", "[sink][file]") {
  open("?format=csv");
  deliver(0, 1);
  REQUIRE(sink->reopen());
  deliver(1, 2);
  const EncoderOptions csv{.format = RecordFormat::kCsv};
  CHECK(read_file(path) == std::string(make_encoder(csv)->header()) + text_of(numbered_records(0, 2), csv));
}

TEST_CASE_METHOD(FileFixture,
                 "reopening a file that is still the same, with a record cut by a full disk, tears nothing",
                 "[sink][file]") {
  open("");
  const auto records = numbered_records(0, 3);
  {
    const FileSizeLimit full(text_of(records).size() - 10);
    CHECK(sink->deliver(records).taken == 2);
    REQUIRE(sink->reopen());
  }
  CHECK(sink->deliver(numbered_records(2, 5)).taken == 3);
  CHECK(read_file(path) == text_of(numbered_records(0, 5)));
}

TEST_CASE_METHOD(FileFixture,
                 "a record that a full disk cut is completed in the old file before the new one begins",
                 "[sink][file]") {
  open("");
  const auto records = numbered_records(0, 3);
  {
    const FileSizeLimit full(text_of(records).size() - 10);
    const Answer answer = sink->deliver(records);
    CHECK(answer.kind == Answer::Kind::kRetryLater);
    CHECK(answer.taken == 2);
    CHECK_THAT(answer.why, Contains(path) && Contains("File too large"));
  }
  std::filesystem::rename(path, path + ".old");
  REQUIRE(sink->reopen());
  const auto rest = numbered_records(2, 5);
  CHECK(sink->deliver(rest).taken == 3);
  CHECK(numbers_in(read_file(path + ".old")) == numbers(0, 3));
  CHECK(numbers_in(read_file(path)) == numbers(3, 5));
}

TEST_CASE_METHOD(
    FileFixture,
    "a record that cannot be completed in the old file is taken out of it, and whole in the new one",
    "[sink][file]") {
  open("");
  const auto records = numbered_records(0, 3);
  {
    const FileSizeLimit full(text_of(records).size() - 10);
    CHECK(sink->deliver(records).taken == 2);
    std::filesystem::rename(path, path + ".old");
    REQUIRE(sink->reopen());
  }
  CHECK(sink->deliver(numbered_records(2, 5)).taken == 3);
  CHECK(numbers_in(read_file(path + ".old")) == numbers(0, 2));
  CHECK(read_file(path + ".old").back() == '\n');
  CHECK(numbers_in(read_file(path)) == numbers(2, 5));
}

TEST_CASE_METHOD(FileFixture, "a sink that ends on a full disk leaves whole lines", "[sink][file]") {
  open("");
  const auto records = numbered_records(0, 3);
  {
    const FileSizeLimit full(text_of(records).size() - 10);
    CHECK(sink->deliver(records).taken == 2);
    sink.reset();
  }
  CHECK(read_file(path) == text_of(numbered_records(0, 2)));
}

TEST_CASE_METHOD(FileFixture, "a file that somebody removed is made again within a second", "[sink][file]") {
  open("");
  deliver(0, 1);
  std::filesystem::remove(path);
  clock.advance(1s);
  const Answer answer = sink->deliver(numbered_records(1, 2));
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK_THAT(answer.why, Contains(path) && Contains("removed"));
  CHECK(numbers_in(read_file(path)) == numbers(1, 2));
}

TEST_CASE("a full disk: what is out is counted exactly, and the log goes on when there is room",
          "[sink][file][disk]") {
  const SmallDisk disk(64);
  if (!disk.usable()) return;
  const testing::ManualClock clock{UnixNs(0s)};
  const std::string path = disk.file("log.json");
  auto sink = open_sink("file:" + path, {}, clock);
  REQUIRE(sink);
  const auto records = numbered_records(0, 1000);
  const Answer first = (*sink)->deliver(records);
  CHECK(first.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(first.why, Contains(path) && Contains("No space left on device"));
  CHECK(first.taken > 0);
  CHECK(first.taken < 1000);
  CHECK(numbers_in(read_file(path)) == numbers(0, static_cast<std::uint32_t>(first.taken)));
  CHECK((*sink)->deliver(std::span(records).subspan(first.taken)).taken == 0);
  disk.resize(1024);
  CHECK((*sink)->deliver(std::span(records).subspan(first.taken)).taken == 1000 - first.taken);
  CHECK(read_file(path) == text_of(records));
}
