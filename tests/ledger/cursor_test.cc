#include "ledger/cursor.h"

#include <catch2/catch.hpp>

#include "ledger/ledger_fixture.h"
#include "ledger/ledger_recovery.h"
#include "ledger/mend_checksums.h"
#include "support/small_disk.h"

namespace natsession::testing {
namespace {

Cursor open_cursor(const std::string& directory, const std::string& name = "syslog+tcp://10.0.0.1:514?x=y") {
  auto cursor = Cursor::open(directory, name);
  if (!cursor) throw std::runtime_error(cursor.error().message);
  return std::move(*cursor);
}

std::string cursor_file(const std::string& directory) {
  return directory + "/cursors/" + list_directory(directory + "/cursors").at(0);
}

TEST_CASE("a cursor is new, and then what was stored", "[ledger][cursor]") {
  TempDir directory;
  const std::string path = directory.path().string();
  CHECK_FALSE(open_cursor(path).state());
  CHECK_FALSE(open_cursor(path).state());
  for (const bool flush : {true, false}) {
    Cursor cursor = open_cursor(path);
    for (std::uint32_t next = 1; next < 20; ++next) {
      REQUIRE(cursor.store({next, at_second(next)}, flush));
      CHECK(cursor.state()->next == next);
      const Cursor other = open_cursor(path);
      REQUIRE(other.state());
      CHECK(other.state()->next == next);
      CHECK(other.state()->delivered_to == at_second(next));
    }
  }
}

TEST_CASE("cursors of different names are apart, whatever the names", "[ledger][cursor]") {
  TempDir directory;
  const std::string path = directory.path().string();
  const std::vector<std::string> names = {"file:/a/b",
                                          "file:/a_b",
                                          "file:/a.b",
                                          "",
                                          "../../etc/passwd",
                                          std::string(3000, 'x'),
                                          std::string(3001, 'x'),
                                          std::string("nul\0in", 6),
                                          "ü"};
  for (std::size_t index = 0; index < names.size(); ++index) {
    Cursor cursor = open_cursor(path, names[index]);
    CHECK_FALSE(cursor.state());
    REQUIRE(cursor.store({index, {}}, false));
  }
  for (std::size_t index = 0; index < names.size(); ++index) {
    CHECK(open_cursor(path, names[index]).state()->next == index);
  }
  const auto all = list_cursors(path);
  REQUIRE(all.size() == names.size());
  for (const NamedCursor& cursor : all) {
    CHECK(cursor.name == names[cursor.state.next].substr(0, kMaxCursorName));
  }
  CHECK(list_directory(directory.path()) == std::vector<std::string>{"cursors"});
}

TEST_CASE("a store that was cut anywhere leaves the state before it", "[ledger][cursor]") {
  TempDir directory;
  const std::string path = directory.path().string();
  for (const std::uint32_t next : {10U, 11U})
    REQUIRE(open_cursor(path).store({next, at_second(next)}, false));
  const std::string before = read_file(cursor_file(path));
  REQUIRE(open_cursor(path).store({12, at_second(12)}, false));
  const std::string after = read_file(cursor_file(path));
  for (std::size_t length = 0; length <= 600; ++length) {
    std::string file = before;
    std::copy_n(after.begin(), length, file.begin());
    write_file(cursor_file(path), file);
    const Cursor cursor = open_cursor(path);
    REQUIRE(cursor.state());
    REQUIRE(cursor.state()->next == (file == after ? 12 : 11));
  }
}

TEST_CASE("a cursor whose slots are both damaged is told of, and never guessed", "[ledger][cursor]") {
  TempDir directory;
  const std::string path = directory.path().string();
  for (const std::uint32_t next : {10U, 11U})
    REQUIRE(open_cursor(path).store({next, at_second(next)}, false));
  const std::string good = read_file(cursor_file(path));
  REQUIRE(good.size() == 8192);
  for (std::size_t at = 0; at < 512; ++at) {
    std::string file = good;
    file[at] = static_cast<char>(file[at] ^ 0x10);
    write_file(cursor_file(path), file);
    REQUIRE(open_cursor(path).state()->next == 11);  // the other slot
    file[4096 + at] = static_cast<char>(file[4096 + at] ^ 0x10);
    write_file(cursor_file(path), file);
    const auto cursor = Cursor::open(path, "syslog+tcp://10.0.0.1:514?x=y");
    REQUIRE_FALSE(cursor);
    REQUIRE(cursor.error().kind == ErrorKind::kMalformed);
    REQUIRE(list_cursors(path).empty());
  }
}

TEST_CASE("a newer version's cursor is not guessed at", "[ledger][cursor]") {
  TempDir directory;
  const std::string path = directory.path().string();
  for (const std::uint32_t next : {10U, 11U})
    REQUIRE(open_cursor(path).store({next, at_second(next)}, false));
  std::string file = read_file(cursor_file(path));
  file[4096 + 8] = 2;  // the version of the slot that was written last
  std::string last = file.substr(4096);
  correct_checksum(last, 0, 508);
  file.replace(4096, last.size(), last);
  write_file(cursor_file(path), file);
  CHECK(open_cursor(path).state()->next == 10);  // the other slot's records come a second time
  file[8] = 2;
  correct_checksum(file, 0, 508);
  write_file(cursor_file(path), file);
  const auto cursor = Cursor::open(path, "syslog+tcp://10.0.0.1:514?x=y");
  REQUIRE_FALSE(cursor);
  CHECK(cursor.error().kind == ErrorKind::kUnavailable);
  CHECK(cursor.error().message == "ledger: read " + cursor_file(path) + ": a newer program wrote it");
  CHECK(list_cursors(path).empty());
  CHECK(read_file(cursor_file(path)) == file);
}

TEST_CASE("a cursor file of any length and content is refused or read", "[ledger][cursor]") {
  TempDir directory;
  const std::string path = directory.path().string();
  REQUIRE(open_cursor(path).store({1, {}}, true));
  for (const std::size_t length : {0U, 1U, 511U, 512U, 4096U, 8192U, 100'000U}) {
    for (const char fill : {'\0', 'N', '\xff'}) {
      write_file(cursor_file(path), std::string(length, fill));
      const auto cursor = Cursor::open(path, "syslog+tcp://10.0.0.1:514?x=y");
      REQUIRE_FALSE(cursor);
      REQUIRE(cursor.error().kind == ErrorKind::kMalformed);
    }
  }
}

TEST_CASE("a cursor that a build before wrote says nothing of what is complete", "[ledger][cursor]") {
  TempDir directory;
  const std::string path = directory.path().string();
  const std::string name = GENERATE(std::string("old"), std::string(440, 'x'));
  CursorState state{5, at_second(5), 9, at_second(3), 77};
  REQUIRE(open_cursor(path, name).store(state, false));
  CHECK(open_cursor(path, name).state()->stream == 77);
  CHECK(open_cursor(path, name).state()->complete_since == at_second(3));
  std::string slot = read_file(cursor_file(path)).substr(0, 512);
  slot.replace(484, 16, 16, name.size() > 434 ? 'x' : '\0');
  if (name.size() > 434) {  // its end stood there
    slot[48] = static_cast<char>(440 & 0xff);
    slot[49] = static_cast<char>(440 >> 8);
  }
  correct_checksum(slot, 0, 508);
  write_file(cursor_file(path), slot + std::string(7680, '\0'));
  const auto read = open_cursor(path, name).state();
  REQUIRE(read);
  CHECK(read->next == 5);
  CHECK(read->promised == 9);
  CHECK(read->stream == 0);
  CHECK(list_cursors(path).at(0).name == name.substr(0, kMaxCursorName));
}

TEST_CASE("a cursor is not read through a symbolic link", "[ledger][cursor]") {
  TempDir directory;
  const std::string path = directory.path().string();
  REQUIRE(open_cursor(path).store({1, {}}, true));
  const std::string file = cursor_file(path);
  std::filesystem::rename(file, directory.file("elsewhere"));
  std::filesystem::create_symlink(directory.file("elsewhere"), file);
  CHECK_FALSE(Cursor::open(path, "syslog+tcp://10.0.0.1:514?x=y"));
  CHECK(list_cursors(path).empty());
  std::filesystem::remove_all(directory.file("cursors"));
  std::filesystem::create_directory(directory.file("target"));
  std::filesystem::create_directory_symlink(directory.file("target"), directory.file("cursors"));
  CHECK_FALSE(Cursor::open(path, "x"));
  CHECK(list_directory(directory.path() / "target").empty());
}

TEST_CASE("a disk that is full stops no cursor that was there before", "[ledger][cursor]") {
  const SmallDisk disk(64);
  if (!disk.usable()) return;
  const std::string path = disk.file("");
  Cursor old = open_cursor(path, "old");
  REQUIRE(old.store({1, {}}, true));
  write_file(disk.file("ballast"), std::string(100'000, 'x'));
  REQUIRE(old.store({2, {}}, true));
  REQUIRE(old.store({3, {}}, true));
  CHECK(open_cursor(path, "old").state()->next == 3);
  auto fresh = Cursor::open(path, "new");
  if (fresh) {
    CHECK_FALSE(fresh->store({1, {}}, true));
    CHECK_FALSE(fresh->state());
    std::filesystem::remove(disk.file("ballast"));
    REQUIRE(fresh->store({1, {}}, true));
    CHECK(open_cursor(path, "new").state()->next == 1);
  }
}

std::vector<std::uint32_t> read_back(const std::string& directory, Result<std::optional<Ordinal>>& place) {
  std::vector<std::uint32_t> seqs;
  place = read_checkpoint(directory, [&](const RecordBlock& block) {
    for (const SessionRecord& record : block.records) seqs.push_back(record.seq);
  });
  return seqs;
}

TEST_CASE("a checkpoint is read back as it was written, and replaced as a whole", "[ledger][checkpoint]") {
  TempDir temp;
  Result<std::optional<Ordinal>> place = std::optional<Ordinal>();
  CHECK(read_back(temp.path(), place).empty());
  REQUIRE(place);
  CHECK_FALSE(*place);

  std::vector<SessionRecord> totals;
  for (std::uint32_t number = 0; number < 40'000; ++number) totals.push_back(numbered_record(number));
  REQUIRE(write_checkpoint(temp.path(), 4711, UnixMs(kTestStart), totals));
  CHECK(read_back(temp.path(), place) == numbers(0, 40'000));
  CHECK(**place == 4711);

  REQUIRE(write_checkpoint(temp.path(), 4712, UnixMs(kTestStart), {}));
  CHECK(read_back(temp.path(), place).empty());
  CHECK(**place == 4712);
  CHECK(list_directory(temp.path()) == std::vector<std::string>{"open"});
}

TEST_CASE("a checkpoint that is damaged anywhere is refused", "[ledger][checkpoint]") {
  TempDir temp;
  Result<std::optional<Ordinal>> place = std::optional<Ordinal>();
  const std::vector<SessionRecord> totals{numbered_record(1), numbered_record(2)};
  REQUIRE(write_checkpoint(temp.path(), 10, UnixMs(kTestStart), totals));
  const std::string good = read_file(temp.file("open"));
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    write_file(temp.file("open"), bad);
    read_back(temp.path(), place);
    INFO(at);
    REQUIRE_FALSE(place);
    CHECK(place.error().message.find("/open: ") != std::string::npos);
  }
  std::string newer = good;
  newer[8] = 2;  // the version
  correct_header(newer);
  write_file(temp.file("open"), newer);
  read_back(temp.path(), place);
  REQUIRE_FALSE(place);
  CHECK(place.error().message.find("a newer program wrote it") != std::string::npos);
  for (std::size_t size = 0; size < good.size(); ++size) {
    if (size == kSegmentHeaderBytes) continue;  // as one without sessions
    write_file(temp.file("open"), good.substr(0, size));
    read_back(temp.path(), place);
    INFO(size);
    CHECK_FALSE(place);
  }
}

TEST_CASE("where a checkpoint cannot be written the one before stays", "[ledger][checkpoint]") {
  TempDir temp;
  Result<std::optional<Ordinal>> place = std::optional<Ordinal>();
  REQUIRE(write_checkpoint(temp.path(), 10, UnixMs(kTestStart), {}));
  std::filesystem::create_directory(temp.file("open.tmp"));
  const auto written = write_checkpoint(temp.path(), 11, UnixMs(kTestStart), {});
  REQUIRE_FALSE(written);
  CHECK(written.error().message.find("open.tmp") != std::string::npos);
  read_back(temp.path(), place);
  CHECK(**place == 10);
}

}  // namespace
}  // namespace natsession::testing
