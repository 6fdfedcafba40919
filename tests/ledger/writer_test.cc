#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <grp.h>
#include <unistd.h>

#include "ledger/cursor.h"
#include "ledger/ledger_fixture.h"
#include "ledger/mend_checksums.h"
#include "record/labels.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE("what is appended is read back in its order", "[ledger][writer]") {
  LedgerFixture ledger;
  REQUIRE(ledger.append(0, 40'000) == 40'000);
  REQUIRE(ledger.writer->sync());
  const Reading reading = read_ledger(ledger.directory());
  CHECK(reading.numbers == numbers(0, 40'000));
  CHECK(reading.complete(0, 40'000));
  CHECK(ledger.writer->status().written == 40'000);
  CHECK(ledger.writer->status().appended == 40'000);
  CHECK(ledger.writer->status().pending == 0);
}

TEST_CASE("a record keeps all that it says", "[ledger][writer]") {
  LedgerFixture ledger;
  SessionRecord record = numbered_record(7);
  record.origin = *intern_origin("gateway-9", "blue");
  record.vpc_id = "vpc-0123";
  record.bytes_from_pub = Count();
  record.session_start = at_second(5);
  record.has_orig_dst = true;
  record.orig_dst_ip = IpAddress::from_v4(0x04030201);
  record.orig_dst_port = 443;
  record.zone = 3;
  record.mark = 0xdeadbeef;
  REQUIRE(ledger.writer->append({&record, 1}) == 1);
  REQUIRE(ledger.writer->sync());
  auto reader = open_reader(ledger.directory());
  RecordBlock block;
  REQUIRE(reader->read(block));
  REQUIRE(block.records.size() == 1);
  const SessionRecord& back = block.records[0];
  CHECK(back.origin->instance == "gateway-9");
  CHECK(back.origin->netns == "blue");
  CHECK(back.vpc_id == "vpc-0123");
  CHECK(back.pri_ip == record.pri_ip);
  CHECK(back.nat_port == record.nat_port);
  CHECK_FALSE(back.bytes_from_pub.known());
  CHECK(back.bytes_from_vpc == record.bytes_from_vpc);
  CHECK(back.session_start == record.session_start);
  CHECK(back.orig_dst_ip == record.orig_dst_ip);
  CHECK(back.zone == 3);
  CHECK(back.mark == 0xdeadbeef);
  CHECK(back.session_id == derive_session_id(back));
}

TEST_CASE("a frame is written when the sync interval is over, and not before", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.append(0, 3);
  const auto again = ledger.writer->tick();
  REQUIRE(again);
  CHECK(*again == ledger.clock.steady() + 1s);
  ledger.clock.advance(999ms);
  ledger.writer->tick();
  CHECK(read_ledger(ledger.directory()).numbers.empty());
  CHECK(ledger.writer->status().pending == 3);
  ledger.clock.advance(1ms);
  ledger.writer->tick();
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 3));
  CHECK(ledger.writer->status().pending == 0);
}

TEST_CASE("a frame that is full is written at once", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.append(0, kMaxFrameRecords + 1);
  CHECK(ledger.writer->status().written == kMaxFrameRecords);
  CHECK(ledger.writer->status().pending == 1);
}

TEST_CASE("with sync always, all that is appended in one call is written by its end", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.settings.sync = SyncMode::kAlways;
  ledger.reopen();
  ledger.append(0, 5);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 5));
  ledger.append(5, 1);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 6));
}

TEST_CASE("readers are called after every frame", "[ledger][writer]") {
  LedgerFixture ledger;
  int calls = 0;
  ledger.writer->on_written([&] { ++calls; });
  ledger.append(0, 2 * kMaxFrameRecords + 1);
  CHECK(calls == 2);
  REQUIRE(ledger.writer->sync());
  CHECK(calls == 3);
  REQUIRE(ledger.writer->sync());
  CHECK(calls == 3);
}

TEST_CASE("sessions longer than a window stand in frames of their own, and are read in their order",
          "[ledger][writer]") {
  LedgerFixture ledger;
  std::vector<SessionRecord> records;
  for (std::uint32_t number = 0; number < 1000; ++number) {
    SessionRecord record = numbered_record(100'000 + number);
    if (number % 3 == 1) record.start_time = at_second(0);
    records.push_back(record);
  }
  REQUIRE(ledger.writer->append(records) == 1000);
  REQUIRE(ledger.writer->sync());
  CHECK(read_ledger(ledger.directory()).numbers == numbers(100'000, 1000));

  const auto frames = frames_in(ledger.directory(), 0);
  REQUIRE(frames.size() == 2);
  CHECK_FALSE(frames[0].info.long_sessions);
  CHECK(frames[0].info.min_start == at_second(100'000));
  CHECK(frames[1].info.long_sessions);
  CHECK(frames[1].info.min_start == at_second(0));
  CHECK(frames[0].info.records + frames[1].info.records == 1000);

  // From every place between them, too.
  for (Ordinal place = 0; place < 1000; place += 37) {
    CHECK(read_ledger(ledger.directory(), place).complete(place, 1000));
  }
}

TEST_CASE("a second writer is refused, with the process id of the first", "[ledger][writer]") {
  LedgerFixture ledger;
  const auto second = LedgerWriter::open(ledger.settings, ledger.clock);
  REQUIRE_FALSE(second);
  CHECK(second.error().kind == ErrorKind::kUnavailable);
  CHECK(second.error().message.find(std::to_string(::getpid())) != std::string::npos);
  CHECK(second.error().message.find(ledger.directory()) != std::string::npos);
  ledger.close();
  CHECK(LedgerWriter::open(ledger.settings, ledger.clock));
}

TEST_CASE("after an orderly stop a writer goes on in the same segment", "[ledger][writer]") {
  LedgerFixture ledger;
  CHECK_FALSE(torn_since(*ledger.writer));
  ledger.append(0, 10);
  ledger.reopen();
  CHECK_FALSE(torn_since(*ledger.writer));
  ledger.append(10, 10);
  ledger.reopen();
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 20));
  CHECK(ledger.segment_files() == std::vector<std::string>{segment_name(0, false)});
}

TEST_CASE("a writer that did not stop in order is told of, with the time of the last record",
          "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  ledger.append(10, 5);  // in memory alone
  ledger.settings.directory = ledger.crashed_copy();
  const auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
  REQUIRE(writer);
  REQUIRE(torn_since(**writer));
  CHECK(*torn_since(**writer) == at_second(10));
  CHECK((*writer)->status().written == 10);
}

TEST_CASE("a ledger that fell before its first record is torn since it was made", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.settings.directory = ledger.crashed_copy();
  const auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
  REQUIRE(writer);
  REQUIRE(torn_since(**writer));
  CHECK(*torn_since(**writer) == UnixMs(kTestStart));
}

TEST_CASE("a frame that was cut anywhere by a crash is cut off, and the others stay", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 4);
  const std::string before = read_file(ledger.path(0));
  ledger.frame(4, 3);
  const std::string after = read_file(ledger.path(0));
  for (std::size_t length = before.size(); length < after.size(); ++length) {
    LedgerSettings settings = ledger.settings;
    settings.directory = ledger.crashed_copy();
    const std::string file = settings.directory + "/segments/" + segment_name(0, false);
    write_file(file, after.substr(0, length));
    REQUIRE(read_ledger(settings.directory).numbers == numbers(0, 4));
    {
      auto writer = LedgerWriter::open(settings, ledger.clock);
      REQUIRE(writer);
      REQUIRE((*writer)->status().written == 4);
      REQUIRE(read_file(file) == before);
      REQUIRE(append_one(**writer, 99));
    }
    const Reading reading = read_ledger(settings.directory);
    REQUIRE(reading.numbers == std::vector<std::uint32_t>{0, 1, 2, 3, 99});
    REQUIRE(reading.skipped.empty());
    std::filesystem::remove_all(settings.directory);
  }
}

TEST_CASE("a frame whose bytes never reached the disk is cut off", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 4);
  const std::string before = read_file(ledger.path(0));
  ledger.frame(4, 3);
  ledger.frame(7, 3);
  std::string after = read_file(ledger.path(0));
  const bool header_too = GENERATE(false, true);
  // As after a power cut: the size was on the disk, the pages were not.
  const std::size_t from = before.size() + (header_too ? 0 : kFrameHeaderBytes);
  std::fill(after.begin() + static_cast<std::ptrdiff_t>(from), after.end(), '\0');
  ledger.settings.directory = ledger.crashed_copy();
  write_file(ledger.path(0), after);
  {
    auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
    REQUIRE(writer);
    CHECK((*writer)->status().written == 4);
  }
  CHECK(read_file(ledger.path(0)) == before);
}

TEST_CASE("records of a group that a crash cut are kept, and written anew", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 3);
  ledger.group(3, 9, {5, 7});
  const std::string whole = read_file(ledger.path(0));
  const auto frames = frames_in(ledger.directory(), 0);
  REQUIRE(frames.size() == 3);
  const bool second_is_cut = GENERATE(true, false);
  ledger.settings.directory = ledger.crashed_copy();
  std::string file = whole;
  if (second_is_cut) {
    file.resize(file.size() - 1);
  } else {
    const std::size_t at = frames[1].offset + frames[1].info.bytes - 1;
    file[at] = static_cast<char>(~file[at]);
  }
  write_file(ledger.path(0), file);
  {
    auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
    REQUIRE(writer);
    REQUIRE(append_one(**writer, 77));
  }
  const Reading reading = read_ledger(ledger.directory());
  CHECK(reading.numbers == (second_is_cut ? std::vector<std::uint32_t>{0, 1, 2, 3, 4, 6, 8, 77}
                                          : std::vector<std::uint32_t>{0, 1, 2, 5, 7, 77}));
  CHECK(reading.complete(0, reading.ordinals.size()));
  CHECK(reading.skipped.empty());
}

TEST_CASE("what a crash cut is not written anew for who has it all", "[ledger][writer][handover]") {
  LedgerFixture ledger;
  ledger.frame(0, 3);
  ledger.group(3, 9, {5, 7});
  const std::string whole = read_file(ledger.path(0));
  ledger.settings.directory = ledger.crashed_copy();
  write_file(ledger.path(0), whole.substr(0, whole.size() - 1));
  {
    auto writer = LedgerWriter::open(ledger.settings, ledger.clock, /*torn_is_known=*/true);
    REQUIRE(writer);
    CHECK((*writer)->next() == 3);
    REQUIRE(append_one(**writer, 77));
  }
  CHECK(read_ledger(ledger.directory()).numbers == std::vector<std::uint32_t>{0, 1, 2, 77});
}

TEST_CASE("what one call appends is in one group of frames, so that a kill leaves all of it or nothing",
          "[ledger][writer][handover]") {
  LedgerFixture ledger;
  const std::vector<SessionRecord> records(kMaxFrameRecords / 2 + 1, numbered_record(1));
  for (int calls = 1; calls <= 6; ++calls) {
    REQUIRE(ledger.writer->append(records) == records.size());
    CHECK(ledger.writer->status().written % records.size() == 0);
  }
  CHECK(ledger.writer->status().written > 0);
}

TEST_CASE("a segment is closed when it is old", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  ledger.clock.advance(ledger.settings.segment_span - 1ms);
  ledger.frame(5, 5);
  CHECK(ledger.segment_files().size() == 1);
  ledger.clock.advance(1ms);
  ledger.frame(10, 5);
  CHECK(ledger.segment_files() == std::vector<std::string>{segment_name(0, false), segment_name(10, false)});
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 15));
}

TEST_CASE("a segment is closed by tick() when nothing comes any more, and an empty one never",
          "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.clock.advance(ledger.settings.segment_span * 2);
  ledger.writer->tick();
  CHECK(ledger.segment_files().size() == 1);
  ledger.frame(0, 5);
  ledger.writer->tick();
  CHECK(ledger.segment_files().size() == 2);
  CHECK_FALSE(ledger.writer->tick());
  ledger.frame(5, 5);
  CHECK(ledger.segment_files().size() == 2);
  const auto again = ledger.writer->tick();
  REQUIRE(again);
  ledger.clock.advance(*again - ledger.clock.steady());
  ledger.writer->tick();
  CHECK(ledger.segment_files() ==
        std::vector<std::string>{segment_name(0, false), segment_name(5, false), segment_name(10, false)});
}

TEST_CASE("a segment is closed when it is large", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.settings.segment_limit = ByteCount{1000};
  ledger.reopen();
  for (std::uint32_t number = 0; number < 20; ++number) ledger.frame(number, 1);
  CHECK(ledger.segment_files().size() > 2);
  for (const auto& name : ledger.segment_files()) {
    CHECK(std::filesystem::file_size(ledger.directory() + "/segments/" + name) < 2000);
  }
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 20));
}

TEST_CASE("a clock that is set back does not keep a segment open for longer", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  ledger.clock.step_to(UnixNs(100s));
  ledger.clock.advance(ledger.settings.segment_span);
  ledger.frame(5, 5);
  CHECK(ledger.segment_files().size() == 2);
  ledger.reopen();
  ledger.frame(10, 5);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 15));
}

TEST_CASE("no ordinal is given out twice when a cursor stands behind what survived", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  const std::string before = read_file(ledger.path(0));
  ledger.frame(5, 5);
  {
    auto cursor = Cursor::open(ledger.directory(), "sink");
    REQUIRE(cursor);
    REQUIRE(cursor->store({10, at_second(10)}, true));
  }
  ledger.settings.directory = ledger.crashed_copy();
  write_file(ledger.path(0), before);  // the last frame never reached the disk
  {
    auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
    REQUIRE(writer);
    REQUIRE(append_one(**writer, 77));
  }
  CHECK(read_ledger(ledger.directory(), 10).numbers == std::vector<std::uint32_t>{77});
  const Reading all = read_ledger(ledger.directory());
  CHECK(all.numbers == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 77});
  CHECK(all.complete(0, 11));
  REQUIRE(all.skipped.size() == 1);
  CHECK(all.skipped[0].reason == RecordReason::kDamaged);
}

TEST_CASE("a segment of a newer version is not written to", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  ledger.close();
  std::string file = read_file(ledger.path(0));
  file[8] = 2;  // the version
  correct_header(file);
  write_file(ledger.path(0), file);
  const auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
  REQUIRE_FALSE(writer);
  CHECK(writer.error().kind == ErrorKind::kUnavailable);
  CHECK(writer.error().message.find(ledger.path(0)) != std::string::npos);
  CHECK(writer.error().message.find("version 2") != std::string::npos);
  CHECK(read_file(ledger.path(0)) == file);

  // What the message says would do: a program that knows that version, or another ledger.
  CHECK(writer.error().message.find("install that version again, or a later one") != std::string::npos);
  CHECK(writer.error().message.find("move " + ledger.directory() + " away, or name another folder") !=
        std::string::npos);
  const std::string aside = ledger.directory() + ".aside";
  std::filesystem::rename(ledger.directory(), aside);
  CHECK(LedgerWriter::open(ledger.settings, ledger.clock));
  std::filesystem::remove_all(ledger.directory());
  std::filesystem::rename(aside, ledger.directory());
  file[8] = 1;
  correct_header(file);
  write_file(ledger.path(0), file);
  CHECK(LedgerWriter::open(ledger.settings, ledger.clock));
}

TEST_CASE("a segment whose header is damaged stays as it is, and the ledger goes on behind it",
          "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  ledger.close();
  std::string file = read_file(ledger.path(0));
  file[20] = static_cast<char>(file[20] ^ 1);
  write_file(ledger.path(0), file);
  ledger.open();
  ledger.frame(5, 5);
  CHECK(read_file(ledger.path(0)) == file);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 10));
}

TEST_CASE("a segment that was just being made when the machine fell is made anew", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  const std::size_t length = GENERATE(0U, 1U, 63U);
  ledger.settings.directory = ledger.crashed_copy();
  write_file(ledger.path(5), std::string(length, 'N'));
  {
    auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
    REQUIRE(writer);
    CHECK(torn_since(**writer) == at_second(5));
    REQUIRE(append_one(**writer, 5));
  }
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 6));
}

TEST_CASE("records go on in a new segment when the one being written is deleted", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  std::filesystem::remove(ledger.path(0));
  ledger.frame(5, 5);
  CHECK(read_ledger(ledger.directory(), 5).numbers == numbers(5, 5));
}

TEST_CASE("a directory that may not be written is told of with its path", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 3);
  ledger.close();
  if (::geteuid() != 0) return;
  // Root may write everywhere; so another user tries.
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::filesystem::permissions(std::filesystem::path(ledger.directory()).parent_path(),
                                 std::filesystem::perms(0755));
    std::filesystem::permissions(ledger.directory(), std::filesystem::perms(0555));
    if (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(9);
    LedgerSettings settings = ledger.settings;
    const auto there = LedgerWriter::open(settings, ledger.clock);
    if (there || there.error().kind != ErrorKind::kPermission) ::_exit(1);
    if (there.error().message.find(settings.directory) == std::string::npos) ::_exit(2);
    settings.directory += "/../new";
    const auto absent = LedgerWriter::open(settings, ledger.clock);
    if (absent || absent.error().kind != ErrorKind::kPermission) ::_exit(3);
    const auto reader = LedgerReader::open(ledger.settings.directory);
    ::_exit(!reader && reader.error().kind == ErrorKind::kPermission ? 0 : 4);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a writer knows until when the one before it logged", "[ledger][writer]") {
  LedgerFixture ledger;
  CHECK_FALSE(ledger.writer->previous_run());
  ledger.frame(0, 10);
  SECTION("as it was told") {
    ledger.writer->set_logged_until(at_second(500));
    ledger.clock.advance(1h);
    ledger.reopen();
    CHECK(ledger.writer->previous_run()->until == at_second(500));
  }
  SECTION("or when it closed the ledger") {
    ledger.clock.advance(1h);
    const UnixMs closed = to_ms(ledger.clock.now());
    ledger.close();
    ledger.clock.advance(1h);
    ledger.open();
    CHECK(ledger.writer->previous_run()->until == closed);
  }
  SECTION("or, where a version before wrote no time, when the newest record ended") {
    ledger.close();
    write_file(ledger.directory() + "/LOCK", "pid 1\nstate closed\n");
    ledger.clock.advance(24h);
    ledger.open();
    CHECK(ledger.writer->previous_run()->until == at_second(10));
  }
  CHECK_FALSE(ledger.writer->previous_run()->crashed);
}

TEST_CASE("a start that is refused makes nothing forgotten of the run before it", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  const bool crashed = GENERATE(false, true);
  ledger.writer->set_logged_until(at_second(500));
  if (crashed) {
    ledger.settings.directory = ledger.crashed_copy();
  }
  ledger.close();
  for (int refused = 0; refused < 2; ++refused) {
    ledger.clock.advance(1h);
    const auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
    REQUIRE(writer);
    (*writer)->tick();
    const auto before = (*writer)->previous_run();
    REQUIRE(before);
    CHECK(before->crashed == crashed);
    CHECK(before->until == at_second(crashed ? 10 : 500));
  }
  SECTION("one that succeeds is a run, and closes the ledger") {
    ledger.open();
    ledger.reopen();
    CHECK(ledger.writer->previous_run()->until == to_ms(ledger.clock.now()));
    CHECK_FALSE(ledger.writer->previous_run()->crashed);
  }
  SECTION("one that is killed is a run, too, also if it wrote nothing") {
    ledger.open();
    ledger.writer->tick();
    ledger.settings.directory = ledger.crashed_copy();
    ledger.reopen();
    CHECK(ledger.writer->previous_run()->crashed);
  }
  SECTION("what is refused after records came counts as one that fell") {
    {
      const auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
      REQUIRE(writer);
      REQUIRE(append_one(**writer, 10));
    }
    ledger.open();
    CHECK(torn_since(*ledger.writer) == at_second(11));
  }
}

TEST_CASE("each segment names the window of its records, and another window begins another segment",
          "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  ledger.settings.window = 1h;
  ledger.reopen();
  ledger.frame(10, 10);
  ledger.settings.window = 2h;
  ledger.reopen();  // 20 is empty as yet
  ledger.settings.window = 1min;
  ledger.reopen();
  ledger.frame(20, 10);
  ledger.compactor->step();
  ledger.keep();
  const auto segments = SegmentList::open(ledger.directory());
  REQUIRE(segments);
  REQUIRE(segments->entries().size() == 3);
  CHECK(segments->entries()[0].window == 10min);
  CHECK(segments->entries()[0].settled);
  CHECK(segments->entries()[1].window == 1h);
  CHECK(segments->entries()[2].window == 1min);
  CHECK(segments->window_since({}) == 1h);
  CHECK(segments->window_since(at_second(20)) == 1h);
  CHECK(segments->window_since(at_second(21)) == 1min);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 30));
}

TEST_CASE("a segment whose header names no window has the one that all had then", "[ledger][writer]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  ledger.close();
  std::string file = read_file(ledger.path(0));
  const auto header = encode_segment_header({0, UnixMs(kTestStart), {}});
  std::copy(header.begin(), header.end(), reinterpret_cast<std::byte*>(file.data()));
  write_file(ledger.path(0), file);
  ledger.open();
  ledger.frame(10, 10);
  const auto segments = SegmentList::open(ledger.directory());
  REQUIRE(segments);
  REQUIRE(segments->entries().size() == 2);
  CHECK(segments->entries()[0].window == 10min);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 20));
}

}  // namespace
}  // namespace natsession::testing
