#include "sink/rotated_files.h"

#include <catch2/catch.hpp>

#include "support/files.h"
#include "support/temp_dir.h"

using namespace natsession;
using namespace natsession::testing;

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
