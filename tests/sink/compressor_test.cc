#include "sink/compressor.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "sink/decompress.h"
#include "sink/lines.h"
#include "support/temp_dir.h"

using namespace natsession;
using Catch::Matchers::Contains;
using namespace natsession::testing;

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
