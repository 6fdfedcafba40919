#include "delivery/dead_letters.h"

#include <sys/stat.h>

#include "delivery/delivery_fixture.h"
#include "delivery/disabled_sinks.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;
using RKind = Report::Kind;

namespace {

constexpr ByteCount kRoomy{std::uint64_t{1} << 20};

std::size_t lines(const std::string& path) {
  const std::string text = read_file(path);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string line_of(const SessionRecord& record) {
  std::string line;
  make_encoder({.with_netns = !record.origin->netns.empty()})->append(record, line);
  line.pop_back();
  return line;
}

}  // namespace

TEST_CASE("a letter says which sink, when, why and what", "[delivery][dead_letters]") {
  const TempDir directory;
  const ManualClock clock{UnixNs(1'795'263'662'108ms)};
  const std::string path = directory.file("letters/one.jsonl");
  DeadLetters letters(path, kRoomy, "http://x/\"q\"", clock);
  CHECK(testing::list_directory(directory.path()).empty());
  REQUIRE(letters.add(numbered_record(7), "413: too\nlarge"));
  CHECK(read_file(path) ==
        "{\"sink\":\"http://x/\\\"q\\\"\",\"time\":\"2026-11-21T12:21:02.108Z\",\"why\":\"413: too\\nlarge\""
        ",\"record\":" +
            line_of(numbered_record(7)) + "}\n");
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777 & 07) == 0);
}

TEST_CASE("letters are added behind those of an earlier run", "[delivery][dead_letters]") {
  const TempDir directory;
  const ManualClock clock{UnixNs(0s)};
  const std::string path = directory.file("a");
  for (std::uint32_t run = 0; run < 3; ++run) {
    DeadLetters letters(path, kRoomy, "a", clock);
    REQUIRE(letters.add(numbered_record(run), "no"));
  }
  CHECK(lines(path) == 3);
}

TEST_CASE("letters go on in a file of the name when somebody has taken theirs away",
          "[delivery][dead_letters]") {
  const TempDir directory;
  const ManualClock clock{UnixNs(0s)};
  const std::string path = directory.file("a");
  DeadLetters letters(path, kRoomy, "a", clock);
  REQUIRE(letters.add(numbered_record(0), "no"));
  REQUIRE(::rename(path.c_str(), (path + ".taken").c_str()) == 0);
  REQUIRE(letters.add(numbered_record(1), "no"));
  REQUIRE(letters.add(numbered_record(2), "no"));
  REQUIRE(letters.sync());
  CHECK(lines(path + ".taken") == 1);
  CHECK(lines(path) == 2);
}

TEST_CASE("a full file becomes FILE.1, and what stood there is counted as gone", "[delivery][dead_letters]") {
  const TempDir directory;
  const ManualClock clock{UnixNs(0s)};
  const std::string path = directory.file("a");
  DeadLetters letters(path, {4096}, "a", clock);
  constexpr std::uint32_t kCount = 100;
  for (std::uint32_t number = 0; number < kCount; ++number)
    REQUIRE(letters.add(numbered_record(number), "no"));
  CHECK(read_file(path).size() <= 4096);
  CHECK(read_file(path + ".1").size() <= 4096);
  CHECK(letters.overwritten() > 0);
  CHECK(lines(path) + lines(path + ".1") + letters.overwritten() == kCount);
  CHECK(read_file(path).find("\"seq\":99") != std::string::npos);
}

TEST_CASE("a letter that does not fit on the disk leaves no half of it", "[delivery][dead_letters]") {
  const TempDir directory;
  const ManualClock clock{UnixNs(0s)};
  const std::string path = directory.file("a");
  DeadLetters letters(path, kRoomy, "a", clock);
  REQUIRE(letters.add(numbered_record(0), "no"));
  const std::string before = read_file(path);
  {
    const FileSizeLimit limit(before.size() + 10);
    const Result<void> added = letters.add(numbered_record(1), "no");
    REQUIRE_FALSE(added);
    CHECK(added.error().message.find(path) != std::string::npos);
    CHECK(read_file(path) == before);
  }
  REQUIRE(letters.add(numbered_record(2), "no"));
  CHECK(lines(path) == 2);
}

TEST_CASE("what is no regular file is not written to", "[delivery][dead_letters]") {
  const TempDir directory;
  const ManualClock clock{UnixNs(0s)};
  const std::string path = directory.file("a");
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  DeadLetters letters(path, kRoomy, "a", clock);
  CHECK_FALSE(letters.add(numbered_record(0), "no"));
}

TEST_CASE("every sink has a file name of its own, safe and not too long", "[delivery][dead_letters]") {
  CHECK(file_name_of("file:/var/log/a.json") == "file%3A%2Fvar%2Flog%2Fa.json");
  CHECK(file_name_of("../x") == "%2E.%2Fx");
  CHECK(file_name_of("a") != file_name_of("A"));
  const std::string base(300, 'x');
  CHECK(file_name_of(base + "1") != file_name_of(base + "2"));
  CHECK(file_name_of(base).size() < 200);
  CHECK(file_name_of(std::string(300, '/')).size() < 200);
}

TEST_CASE("what a sink rejects is counted, kept and passed over alone", "[delivery][dead_letters]") {
  LedgerRig rig(sinks({{Answer::rejected(2, "too large"), Answer::rejected(0, "too odd")}}));
  rig.feed(0, 6);
  CHECK(rig.delivered(0) == std::vector<std::uint32_t>{0, 1, 4, 5});
  const SinkReport status = rig.status(0);
  CHECK(status.delivered == 4);
  CHECK(status.rejected == 2);
  CHECK(status.dead_lettered == 2);
  CHECK(status.waiting == 0);
  const std::string text = read_file(rig.directory() + "/dead-letters/a.jsonl");
  CHECK(text.find("\"why\":\"too large\"") < text.find("\"seq\":2"));
  CHECK(text.find("\"why\":\"too odd\"") < text.find("\"seq\":3"));
  CHECK(lines(rig.directory() + "/dead-letters/a.jsonl") == 2);
}

TEST_CASE("dead letters that cannot be kept are told, and do not stop delivery", "[delivery][dead_letters]") {
  LedgerRig rig(sinks({{Answer::rejected(0, "odd"), Answer::delivered(0), Answer::rejected(0, "odd")}}));
  const std::string wall = rig.directory() + "/dead-letters";
  write_file(wall, "");
  rig.feed(0, 3);
  CHECK(rig.delivered(0) == numbers(1, 3));
  CHECK(rig.status(0).rejected == 1);
  CHECK(rig.status(0).dead_lettered == 0);
  CHECK(rig.status(0).dead_letters_lost == 1);
  CHECK(rig.report_kinds() == std::vector{RKind::kDeadLetterTrouble, RKind::kRejected});
  REQUIRE(unlink(wall.c_str()) == 0);
  rig.clock.advance(1s);
  rig.feed(3, 5);
  CHECK(rig.status(0).dead_lettered == 1);
  CHECK(rig.report_kinds() == std::vector{RKind::kDeadLetterTrouble, RKind::kRejected,
                                          RKind::kDeadLetterTroubleOver, RKind::kRejected});
}

TEST_CASE("with a ledger dead letters are on the disk before the cursor is behind them",
          "[delivery][dead_letters]") {
  LedgerRig fixture(sinks({testing::FlakySink::Script(5, Answer::rejected(0, "odd"))}));
  fixture.write(0, 10);
  const testing::FailingDisk disk({});
  fixture.run(0);
  const auto done = disk.done();
  const auto first = [&](std::string_view call, std::string_view file) {
    return std::find_if(
               done.begin(), done.end(),
               [&](const std::string& one) { return one.starts_with(call) && one.ends_with(file); }) -
           done.begin();
  };
  CHECK(first("sync", "/dead-letters/a.jsonl") < first("sync", "/dead-letters"));
  CHECK(first("sync", "/dead-letters") < first("write", ".cursor"));
  CHECK(static_cast<std::size_t>(first("write", ".cursor")) < done.size());
  // Once for all that were rejected in a row.
  CHECK(std::count_if(done.begin(), done.end(),
                      [](const std::string& one) { return one.ends_with("a.jsonl"); }) == 1);
  CHECK(fixture.status(0).dead_lettered == 5);
  CHECK(fixture.cursor(0) == 10);
}

TEST_CASE("while dead letters wait for the disk the cursor waits for them, also at its flush",
          "[delivery][dead_letters]") {
  LedgerRig fixture(sinks({testing::FlakySink::Script(1000, Answer::rejected(0, "odd"))}));
  fixture.write(0, 1000);
  for (int i = 0; i < 99; ++i) {
    fixture.clock.advance(1s);
    static_cast<void>(fixture.step(0));
    CHECK(fixture.cursor(0) == 0);
  }
  static_cast<void>(fixture.step(0));
  CHECK(fixture.cursor(0) == 100);
  CHECK(fixture.status(0).dead_lettered == 100);
  fixture.run(0);
  CHECK(fixture.cursor(0) == 1000);
  CHECK(fixture.status(0).rejected == 1000);
}

TEST_CASE("the cursor is behind what was rejected when the worker rests, and at the stop",
          "[delivery][dead_letters]") {
  const bool stop = GENERATE(false, true);
  LedgerRig rig(sinks({{Answer::rejected(0, "odd")}}));
  rig.write(0, 1);
  if (stop) rig.stop();
  CHECK(rig.run(0).kind == (stop ? Turn::Kind::kDone : Turn::Kind::kSleep));
  CHECK(rig.cursor(0) == 1);
  CHECK(rig.status(0).dead_lettered == 1);
  CHECK(rig.status(0).waiting == 0);
}

TEST_CASE("dead letters that do not reach the disk are counted as lost, and told",
          "[delivery][dead_letters]") {
  LedgerRig rig(sinks({{Answer::rejected(0, "odd"), Answer::rejected(0, "odd")}}));
  rig.write(0, 5);
  {
    const testing::FailingDisk disk({.sync = EIO});
    rig.run(0);
  }
  CHECK(rig.delivered(0) == numbers(2, 5));
  CHECK(rig.status(0).dead_lettered == 0);
  CHECK(rig.status(0).dead_letters_lost == 2);
  const auto told = rig.report_kinds();
  CHECK(std::count(told.begin(), told.end(), RKind::kDeadLetterTrouble) == 1);
}

TEST_CASE("a file of dead letters that somebody removed is made anew", "[delivery][dead_letters]") {
  const TempDir directory;
  const ManualClock clock{UnixNs(0s)};
  const std::string path = directory.file("letters/a");
  DeadLetters letters(path, kRoomy, "a", clock);
  REQUIRE(letters.add(numbered_record(0), "no"));
  std::filesystem::remove_all(directory.file("letters"));
  REQUIRE(letters.add(numbered_record(1), "no"));
  CHECK(letters.sync());
  CHECK(lines(path) == 1);
}

TEST_CASE("with a ledger the dead letters of each sink are in it", "[delivery][dead_letters]") {
  LedgerRig rig(sinks({{Answer::rejected(0, "odd")}, {Answer::rejected(1, "odd")}}));
  rig.feed(0, 3);
  rig.run(1);
  const std::string directory = rig.directory() + "/dead-letters";
  CHECK(testing::list_directory(directory) == std::vector<std::string>{"a.jsonl", "b.jsonl"});
}

TEST_CASE("in memory the rejected are counted only", "[delivery][dead_letters]") {
  MemoryRig rig(sinks({{Answer::rejected(0, "odd")}}));
  rig.feed(0, 3);
  CHECK(rig.status(0).rejected == 1);
  CHECK(rig.status(0).dead_lettered == 0);
  CHECK(rig.status(0).dead_letters_lost == 0);
}

TEST_CASE("disabled sinks are read as they were written", "[delivery][disabled_sinks]") {
  const TempDir directory;
  const std::string path = directory.file("disabled");
  CHECK(read_disabled_sinks(path)->empty());
  const SinkNames names{"file:/var/log/a b.json", "https://x/?a=1"};
  REQUIRE(write_disabled_sinks(path, names));
  CHECK(*read_disabled_sinks(path) == names);
  REQUIRE(write_disabled_sinks(path, {}));
  CHECK(read_disabled_sinks(path)->empty());
  CHECK(testing::list_directory(directory.path()) == std::vector<std::string>{"disabled"});
}

TEST_CASE("a setting that cannot be written leaves the old file", "[delivery][disabled_sinks]") {
  const TempDir directory;
  const std::string path = directory.file("disabled");
  REQUIRE(write_disabled_sinks(path, {"a"}));
  CHECK_FALSE(write_disabled_sinks(path, {"a\nb"}));
  {
    const FileSizeLimit limit(1);
    CHECK_FALSE(write_disabled_sinks(path, {"a", "b"}));
  }
  CHECK(*read_disabled_sinks(path) == SinkNames{"a"});
  CHECK_FALSE(write_disabled_sinks(directory.file("none/disabled"), {"a"}));
}
