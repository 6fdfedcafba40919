// Rotation of a file sink, with what becomes of the rotated files.
#include <sys/stat.h>

#include <algorithm>

#include <catch2/catch.hpp>

#include "sink/decompress.h"
#include "sink/encoding/compressor.h"
#include "sink/local/rotated_files.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

class RotationFixture : public FileFixture {
 public:
  // All lines of the log, oldest first, whatever file they are in.
  std::string whole_log() {
    std::string text;
    for (const RotatedFile& file : rotated()) {
      if (file.plain) {
        text += read_file(file.path);
      } else if (file.gzip) {
        text += testing::read_gzip(file.path + ".gz");
      } else {
        text += testing::read_zstd(file.path + ".zst");
      }
    }
    return text + read_file(path);
  }
  std::vector<RotatedFile> rotated() { return list_rotated(path).value(); }
  // The sink ends, and with it the work on rotated files.
  void finish() { sink.reset(); }
};

}  // namespace

TEST_CASE_METHOD(RotationFixture, "a file is rotated before it grows beyond its size, between two records",
                 "[sink][rotation]") {
  open("?rotate_size=10K");
  for (std::uint32_t number = 0; number < 1000; number += 50) deliver(number, number + 50);
  CHECK(whole_log() == text_of(numbered_records(0, 1000)));
  const auto files = rotated();
  CHECK(files.size() > 20);
  for (const RotatedFile& file : files) {
    const std::string text = read_file(file.path);
    CHECK(text.size() <= 10 << 10);
    CHECK(text.size() > (10 << 10) - 600);
    CHECK(text.back() == '\n');
  }
  CHECK(read_file(path).size() <= 10 << 10);
  CHECK(files[0].path == path + ".20261121T143422Z");
  CHECK(files[1].path == path + ".20261121T143422Z.1");
  CHECK(files[10].path == path + ".20261121T143422Z.10");
}

TEST_CASE_METHOD(RotationFixture, "a record that alone is larger than the limit gets a file for itself",
                 "[sink][rotation]") {
  const Origin origin{std::string(3000, 'x'), ""};
  open("?rotate_size=1K");
  std::vector<SessionRecord> records;
  for (std::uint32_t number = 0; number < 5; ++number)
    records.push_back(testing::numbered_record(number, origin));
  CHECK(sink->deliver(records).taken == 5);
  CHECK(rotated().size() == 4);
  CHECK(whole_log() == text_of(records));
}

TEST_CASE_METHOD(RotationFixture, "each file of csv has its header", "[sink][rotation]") {
  const EncoderOptions csv{.format = RecordFormat::kCsv};
  const std::string header(make_encoder(csv)->header());
  open("?rotate_size=4K&format=csv");
  deliver(0, 100);
  finish();
  REQUIRE(rotated().size() > 2);
  std::string records;
  for (const RotatedFile& file : rotated()) {
    const std::string text = read_file(file.path);
    CHECK(text.size() <= 4 << 10);
    REQUIRE(text.starts_with(header));
    records += text.substr(header.size());
  }
  REQUIRE(read_file(path).starts_with(header));
  records += read_file(path).substr(header.size());
  CHECK(records == text_of(numbered_records(0, 100), csv));
}

TEST_CASE_METHOD(RotationFixture, "a file that was there already counts with its size", "[sink][rotation]") {
  write_file(path, std::string(1500, 'x') + "\n");
  open("?rotate_size=2K");
  deliver(0, 10);
  REQUIRE_FALSE(rotated().empty());
  CHECK(read_file(rotated()[0].path).size() <= 2 << 10);
}

TEST_CASE_METHOD(RotationFixture, "a file is rotated when the clock passes a boundary", "[sink][rotation]") {
  open("?rotate_time=1h");
  deliver(0, 1);
  clock.advance(25min + 37s);  // 14:59:59
  deliver(1, 2);
  CHECK(rotated().empty());
  clock.advance(1s);
  deliver(2, 3);
  REQUIRE(rotated().size() == 1);
  CHECK(rotated()[0].path == path + ".20261121T150000Z");
  CHECK(numbers_in(read_file(rotated()[0].path)) == numbers(0, 2));
  CHECK(numbers_in(read_file(path)) == numbers(2, 3));
}

TEST_CASE_METHOD(RotationFixture, "the boundary is kept also when nothing comes", "[sink][rotation]") {
  open("?rotate_time=1h");
  deliver(0, 1);
  clock.advance(1h);
  REQUIRE(sink->flush());
  CHECK(rotated().size() == 1);
  CHECK(read_file(path).empty());
  clock.advance(5h);
  REQUIRE(sink->flush());
  CHECK(rotated().size() == 1);  // there is no use in rotating an empty file
}

TEST_CASE_METHOD(RotationFixture,
                 "a file of an earlier period is rotated before the first record after a restart",
                 "[sink][rotation]") {
  open("?rotate_time=1h");
  deliver(0, 1);
  finish();
  const std::time_t written =
      std::chrono::floor<std::chrono::seconds>(clock.now()).time_since_epoch().count();
  const timespec times[2] = {{written, 0}, {written, 0}};
  utimensat(AT_FDCWD, path.c_str(), times, 0);

  SECTION("in the same hour it is gone on with") {
    open("?rotate_time=1h");
    deliver(1, 2);
    CHECK(rotated().empty());
  }
  SECTION("in a later one it is not") {
    clock.advance(3h);
    open("?rotate_time=1h");
    deliver(1, 2);
    REQUIRE(rotated().size() == 1);
    CHECK(numbers_in(read_file(rotated()[0].path)) == numbers(0, 1));
  }
}

TEST_CASE_METHOD(RotationFixture, "rotated files are compressed in the background", "[sink][rotation]") {
  const std::string compression = GENERATE("gzip", "zstd");
  open("?rotate_size=10K&compress=" + compression);
  deliver(0, 300);
  finish();
  // On a slow machine a stop leaves some to the next start.
  const auto plain = [](const RotatedFile& file) { return file.plain; };
  for (int i = 0; i < 20 && std::ranges::any_of(rotated(), plain); ++i) {
    open("?rotate_size=10K&compress=" + compression);
    finish();
  }
  REQUIRE(rotated().size() > 5);
  for (const RotatedFile& file : rotated()) {
    CHECK_FALSE(file.plain);
    CHECK((compression == "gzip" ? file.gzip : file.zstd));
  }
  CHECK(whole_log() == text_of(numbered_records(0, 300)));
}

TEST_CASE_METHOD(RotationFixture, "what a crash left uncompressed is compressed at the next start",
                 "[sink][rotation]") {
  write_file(path + ".20261120T000000Z", "old\n");
  write_file(path + ".20261120T000000Z.1", "older\n");
  write_file(path + ".20261120T000000Z.1.zst.tmp", "half");
  write_file(path + ".not-ours", "x");
  open("?rotate_size=1M&compress=zstd");
  finish();
  CHECK(list_directory(directory.path()) ==
        std::vector<std::string>{"log.json", "log.json.20261120T000000Z.1.zst",
                                 "log.json.20261120T000000Z.zst", "log.json.not-ours"});
}

TEST_CASE_METHOD(RotationFixture, "only so many rotated files are kept, the newest", "[sink][rotation]") {
  const std::string compression = GENERATE("none", "zstd");
  write_file(path + ".20200101T000000Z.gz", "ancient");
  open("?rotate_size=10K&keep=3&compress=" + compression);
  deliver(0, 300);
  finish();
  const auto files = rotated();
  REQUIRE(files.size() == 3);
  const auto all = numbers(0, 300);
  const auto kept = numbers_in(whole_log());
  CHECK(kept.size() > 60);
  CHECK(kept == std::vector(all.end() - static_cast<std::ptrdiff_t>(kept.size()), all.end()));
}

TEST_CASE_METHOD(RotationFixture, "a log behind a symbolic link is rotated where it lies",
                 "[sink][rotation]") {
  std::filesystem::create_directory(directory.file("disk"));
  std::filesystem::create_symlink(directory.file("disk/real.json"), path);
  open("?rotate_size=2K");
  deliver(0, 10);
  CHECK(std::filesystem::is_symlink(path));
  CHECK(list_directory(directory.path()) == std::vector<std::string>{"disk", "log.json"});
  const auto files = list_rotated(directory.file("disk/real.json")).value();
  CHECK(files.size() >= 1);
  std::string text;
  for (const RotatedFile& file : files) text += read_file(file.path);
  CHECK(text + read_file(path) == text_of(numbered_records(0, 10)));
}

TEST_CASE_METHOD(RotationFixture, "a rotation that fails is told, and no record is lost by it",
                 "[sink][rotation]") {
  if (geteuid() != 0) {
    WARN("skipped: needs root to take a directory's permission away from itself");
    return;
  }
  const testing::TempDir open_directory;
  open("?rotate_size=2K");
  deliver(0, 1);
  chmod(directory.path().c_str(), 0555);
  REQUIRE(seteuid(65534) == 0);
  const auto records = numbered_records(1, 50);
  const Answer answer = sink->deliver(records);
  const Answer next = sink->deliver(numbered_records(50, 60));
  REQUIRE(seteuid(0) == 0);
  chmod(directory.path().c_str(), 0700);
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK_THAT(answer.why, Contains("rotate " + path) && Contains("Permission denied"));
  CHECK(next.why.empty());  // not again with each batch
  CHECK(rotated().empty());
  CHECK(numbers_in(read_file(path)) == numbers(0, 60));

  clock.advance(10s);
  deliver(60, 70);
  CHECK(rotated().size() >= 1);
  CHECK(whole_log() == text_of(numbered_records(0, 70)));
}

TEST_CASE_METHOD(RotationFixture, "a rotation that cannot open the new file is undone", "[sink][rotation]") {
  const std::string real = directory.file("real.json");
  std::filesystem::create_symlink(real, path);
  open("?rotate_size=2K");
  deliver(0, 1);
  std::filesystem::remove(path);
  std::filesystem::create_symlink(directory.file("no/such/log.json"), path);
  const Answer answer = sink->deliver(numbered_records(1, 10));
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK_THAT(answer.why, Contains("rotate " + path));
  CHECK(list_rotated(real).value().empty());
  CHECK(read_file(real) == text_of(numbered_records(0, 10)));
}

TEST_CASE_METHOD(RotationFixture,
                 "a log that somebody else has rotated meanwhile is not rotated again but followed",
                 "[sink][rotation]") {
  open("?rotate_size=2K");
  deliver(0, 1);
  std::filesystem::rename(path, directory.file("elsewhere"));
  write_file(path, "");
  deliver(1, 8);
  CHECK(read_file(directory.file("elsewhere")).size() <= 2 << 10);
  CHECK(read_file(directory.file("elsewhere")) + read_file(path) == text_of(numbered_records(0, 8)));
  CHECK(rotated().empty());
}

TEST_CASE_METHOD(RotationFixture, "a compression that fails is told, and the plain file stays",
                 "[sink][rotation]") {
  // A directory in the place of the unfinished file.
  std::filesystem::create_directory(path + ".20261121T143422Z.gz.tmp");
  open("?rotate_size=2K&compress=gzip");
  std::string why;
  std::uint32_t number = 0;
  SECTION("by a delivery") {
    for (; why.empty(); ++number) why = sink->deliver(numbered_records(number, number + 1)).why;
  }
  SECTION("by a flush") {
    number = 6;
    why = sink->deliver(numbered_records(0, number)).why;  // it may be as quick as that
    while (why.empty()) {
      const auto flushed = sink->flush();
      if (!flushed) why = flushed.error().message;
    }
  }
  CHECK_THAT(why, Contains(path + ".20261121T143422Z.gz.tmp"));
  finish();
  CHECK(std::filesystem::is_regular_file(path + ".20261121T143422Z"));
  CHECK(numbers_in(whole_log()) == numbers(0, number));
}

namespace {

constexpr UnixNs kNow{std::chrono::seconds(1'795'271'662)};  // date -u -d 2026-11-21T14:34:22Z +%s

}  // namespace

TEST_CASE("a rotated file is named by its time, and numbered if there are several of a second",
          "[sink][rotated]") {
  const TempDir directory;
  const std::string path = directory.file("log.json");
  const auto next = [&] { return name_rotated(path, kNow).value(); };
  CHECK(next() == path + ".20261121T143422Z");
  write_file(path + ".20261121T143422Z", "");
  CHECK(next() == path + ".20261121T143422Z.1");
  write_file(path + ".20261121T143422Z.1.zst", "");
  CHECK(next() == path + ".20261121T143422Z.2");
  for (const char* number : {"2", "9", "10"}) write_file(path + ".20261121T143422Z." + number + ".gz", "");
  CHECK(next() == path + ".20261121T143422Z.11");
}

TEST_CASE("rotated files are listed from the oldest to the newest, each once", "[sink][rotated]") {
  const TempDir directory;
  const std::string path = directory.file("log.json");
  for (const char* name : {".20261121T143422Z.10", ".20261121T143422Z.2.gz", ".20261121T143422Z.2",
                           ".20261121T143422Z", ".20251231T235959Z.zst"}) {
    write_file(path + name, "");
  }
  const auto files = list_rotated(path);
  REQUIRE(files);
  REQUIRE(files->size() == 4);
  CHECK((*files)[0].path == path + ".20251231T235959Z");
  CHECK((*files)[0].zstd);
  CHECK_FALSE((*files)[0].plain);
  CHECK((*files)[1].path == path + ".20261121T143422Z");
  CHECK((*files)[1].plain);
  CHECK((*files)[2].path == path + ".20261121T143422Z.2");
  CHECK((*files)[2].plain);
  CHECK((*files)[2].gzip);
  CHECK((*files)[3].path == path + ".20261121T143422Z.10");
}

TEST_CASE("no other file is taken for a rotated one", "[sink][rotated]") {
  const TempDir directory;
  const std::string path = directory.file("log.json");
  for (const char* name :
       {"", ".1", ".old", ".20261121", ".20261121T143422", ".20261121T143422Z.", ".20261121T143422Z.0",
        ".20261121T143422Z.01", ".20261121T143422Z.x", ".20261121T143422Z.gz.tmp", ".2026112xT143422Z",
        ".20261121T143422Z.1.2", ".20261121T143422Zgz", ".20261121-143422Z"}) {
    write_file(path + name, "");
  }
  write_file(directory.file("other.json.20261121T143422Z"), "");
  const auto files = list_rotated(path);
  REQUIRE(files);
  CHECK(files->empty());
}

TEST_CASE("a directory that cannot be read is an error that names it", "[sink][rotated]") {
  const auto files = list_rotated("/no/such/place/log.json");
  REQUIRE_FALSE(files);
  CHECK(files.error().message.find("/no/such/place") != std::string::npos);
}

TEST_CASE("a file is replaced by its compressed self, with the same mode and time", "[sink][compress]") {
  const TempDir directory;
  const std::string path = directory.file("log.json.20261121T143422Z");
  const std::string text =
      GENERATE(as<std::string>(), "", "one line\n", testing::text_of(testing::numbered_records(0, 5000)));
  const auto compression = GENERATE(Compression::kGzip, Compression::kZstd);
  write_file(path, text);
  chmod(path.c_str(), 0604);
  const timespec times[2] = {{1'000'000'000, 0}, {1'100'000'000, 0}};
  utimensat(AT_FDCWD, path.c_str(), times, 0);

  const auto done = compress_file(path, compression);
  if (!done) FAIL(done.error().message);
  const std::string packed = path + std::string(suffix_of(compression));
  CHECK(list_directory(directory.path()) == std::vector{std::filesystem::path(packed).filename().string()});
  CHECK((compression == Compression::kGzip ? testing::read_gzip(packed) : testing::read_zstd(packed)) ==
        text);
  if (text.size() > 1000) CHECK(read_file(packed).size() < text.size() / 5);
  struct stat status {};
  REQUIRE(stat(packed.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0604);
  CHECK(status.st_mtim.tv_sec == 1'100'000'000);
}

TEST_CASE("a compression that a full disk stops leaves the file and nothing else", "[sink][compress]") {
  const TempDir directory;
  const std::string path = directory.file("log");
  const std::string text = testing::text_of(testing::numbered_records(0, 50'000));
  write_file(path, text);
  const auto compression = GENERATE(Compression::kGzip, Compression::kZstd);
  {
    const testing::FileSizeLimit full(1000);
    const auto done = compress_file(path, compression);
    REQUIRE_FALSE(done);
    CHECK_THAT(done.error().message, Contains(path) && Contains("File too large"));
  }
  CHECK(list_directory(directory.path()) == std::vector<std::string>{"log"});
  CHECK(read_file(path) == text);
}

TEST_CASE("what an interrupted compression left is written over", "[sink][compress]") {
  const TempDir directory;
  const std::string path = directory.file("log");
  write_file(path, "new\n");
  write_file(path + ".gz", "an old one");
  write_file(path + ".gz.tmp", std::string(100'000, 'x'));
  REQUIRE(compress_file(path, Compression::kGzip));
  CHECK(list_directory(directory.path()) == std::vector<std::string>{"log.gz"});
  CHECK(testing::read_gzip(path + ".gz") == "new\n");
}
