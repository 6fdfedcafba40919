#include "ledger/coverage.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "ledger/crc32c.h"
#include "ledger/ledger_fixture.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

Coverage covered(int from_s, int until_s, const std::string& netns = "") {
  return {netns, at_second(from_s), at_second(until_s), false, {7, 0, 0, 10min}};
}

std::vector<Coverage> proved(const std::string& directory, Ordinal end = kMaxOrdinal) {
  const auto spans = read_coverage(directory);
  if (!spans) throw std::runtime_error(spans.error().message);
  std::vector<Coverage> all;
  for (const CoverageClaim& claim : proved_claims(*spans, end)) all.push_back(claim.coverage);
  return all;
}

CoverageFile open_file(const std::string& directory, UnixMs oldest = UnixMs::min()) {
  auto file = CoverageFile::open(directory, kMaxOrdinal, oldest);
  if (!file) throw std::runtime_error(file.error().message);
  return std::move(*file);
}

void store(CoverageFile& file, const Coverage& coverage, Ordinal end) {
  REQUIRE(file.store({&coverage, 1}, end, {}));
}

TEST_CASE("what was proved last is what counts, for each namespace and each beginning",
          "[ledger][coverage]") {
  const TempDir directory;
  const std::string path = directory.path().string();
  CHECK(proved(path).empty());
  CoverageFile file = open_file(path);
  for (int until = 11; until < 20; ++until) store(file, covered(10, until), 0);
  store(file, covered(12, 19, "blue"), 0);
  store(file, covered(30, 40), 0);
  Coverage whole = covered(30, 41);
  whole.whole = true;
  whole.conditions = {4, 2, 1, 24h};
  store(file, whole, 0);
  CHECK(proved(path) == std::vector<Coverage>{covered(10, 19), covered(12, 19, "blue"), whole});
}

TEST_CASE("nothing is claimed of records that are not there: what was claimed before counts",
          "[ledger][coverage]") {
  const TempDir directory;
  const std::string path = directory.path().string();
  CoverageFile file = open_file(path);
  store(file, covered(0, 10), 100);
  store(file, covered(0, 20), 200);
  CHECK(proved(path, 200) == std::vector<Coverage>{covered(0, 20)});
  CHECK(proved(path, 199) == std::vector<Coverage>{covered(0, 10)});
  CHECK(proved(path, 99).empty());
}

TEST_CASE("a claim that was damaged or cut anywhere leaves the one before it", "[ledger][coverage]") {
  const TempDir directory;
  const std::string path = directory.path().string();
  CoverageFile file = open_file(path);
  store(file, covered(0, 10), 0);
  const std::string before = read_file(path + "/coverage");
  store(file, covered(0, 20), 0);
  const std::string after = read_file(path + "/coverage");
  REQUIRE(after.size() == 1024);
  for (std::size_t at = 512; at < after.size(); ++at) {
    std::string bytes = after;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    write_file(path + "/coverage", bytes);
    REQUIRE(proved(path) == std::vector<Coverage>{covered(0, 10)});
    write_file(path + "/coverage", after.substr(0, at));
    REQUIRE(proved(path) == std::vector<Coverage>{covered(0, 10)});
  }
  write_file(path + "/coverage", std::string(5000, 'x'));
  CHECK(proved(path).empty());
}

TEST_CASE("what is no file proves nothing, and is replaced by one", "[ledger][coverage]") {
  const TempDir directory;
  const std::string path = directory.path().string();
  SECTION("a FIFO") {
    REQUIRE(::mkfifo((path + "/coverage").c_str(), 0600) == 0);
  }
  SECTION("a link") {
    std::filesystem::create_symlink("/dev/zero", path + "/coverage");
  }
  CHECK(proved(path).empty());
  CoverageFile file = open_file(path);
  store(file, covered(0, 10), 0);
  CHECK(proved(path) == std::vector<Coverage>{covered(0, 10)});
}

TEST_CASE("a newer version's coverage is not guessed at", "[ledger][coverage]") {
  const TempDir directory;
  const std::string path = directory.path().string();
  CoverageFile file = open_file(path);
  store(file, covered(0, 10), 0);
  std::string bytes = read_file(path + "/coverage");
  bytes[8] = 2;
  const std::uint32_t sum = crc32c(std::as_bytes(std::span(bytes).first(508)));
  std::memcpy(bytes.data() + 508, &sum, sizeof sum);
  write_file(path + "/coverage", bytes);
  const auto read = read_coverage(path);
  REQUIRE_FALSE(read);
  CHECK(read.error().kind == ErrorKind::kUnavailable);
  CHECK(read.error().message == "ledger: read " + path + "/coverage: a newer program wrote it");
  const auto opened = CoverageFile::open(path, 0, UnixMs::min());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message ==
        read.error().message +
            "; install that version again, or a later one, or begin another ledger: move " + path +
            " away, or name another folder");
  CHECK(read_file(path + "/coverage") == bytes);
}

TEST_CASE("what is older than the oldest record is forgotten when the ledger is opened",
          "[ledger][coverage]") {
  const TempDir directory;
  const std::string path = directory.path().string();
  {
    CoverageFile file = open_file(path);
    store(file, covered(0, 10), 0);
    store(file, covered(20, 30), 0);
  }
  const CoverageFile file = open_file(path, at_second(25));
  CHECK(file.before() == std::vector<CoverageClaim>{{covered(20, 30), 0, {}}});
  CHECK(proved(path) == std::vector<Coverage>{covered(20, 30)});
}

TEST_CASE("a claim rests on its records also after the ledger was opened again", "[ledger][coverage]") {
  const TempDir directory;
  const std::string path = directory.path().string();
  {
    CoverageFile file = open_file(path);
    store(file, covered(0, 10), 100);
  }
  static_cast<void>(open_file(path));
  CHECK(proved(path, 100) == std::vector<Coverage>{covered(0, 10)});
  CHECK(proved(path, 99).empty());
}

TEST_CASE("the writer claims what is proved once the records that prove it are in frames",
          "[ledger][coverage]") {
  LedgerFixture ledger;
  ledger.append(0, 5);
  CHECK(ledger.writer->wants_proof());
  ledger.writer->prove({covered(0, 10)}, true, false);
  CHECK(proved(ledger.directory()).empty());
  CHECK_FALSE(ledger.writer->wants_proof());
  CHECK_FALSE(ledger.writer->status().proved_until);
  ledger.clock.advance(ledger.settings.sync_interval);
  ledger.writer->tick();
  CHECK(proved(ledger.directory(), 5) == std::vector<Coverage>{covered(0, 10)});
  CHECK(proved(ledger.directory(), 4).empty());
  CHECK(ledger.writer->status().proved_until == at_second(10));
  CHECK(ledger.writer->wants_proof());
}

TEST_CASE("while no records come coverage is claimed once a minute, or at once when that is urgent",
          "[ledger][coverage]") {
  LedgerFixture ledger;
  ledger.clock.advance(1h);
  ledger.writer->prove({covered(0, 10)}, true, false);
  CHECK(proved(ledger.directory()) == std::vector<Coverage>{covered(0, 10)});
  ledger.writer->prove({covered(0, 15)}, true, false);
  ledger.writer->tick();
  CHECK(proved(ledger.directory()) == std::vector<Coverage>{covered(0, 10)});
  ledger.writer->prove({covered(0, 20)}, true, true);
  CHECK(proved(ledger.directory()) == std::vector<Coverage>{covered(0, 20)});
  ledger.writer->prove({covered(0, 30)}, true, false);
  CHECK(proved(ledger.directory()) == std::vector<Coverage>{covered(0, 20)});
  ledger.clock.advance(1min);
  ledger.writer->tick();
  CHECK(proved(ledger.directory()) == std::vector<Coverage>{covered(0, 30)});
}

TEST_CASE("what is claimed reaches behind the last record, also when none follows", "[ledger][coverage]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  for (int second = 1; second <= 2; ++second) {
    ledger.clock.advance(1s);
    ledger.writer->prove({covered(0, second)}, true, false);
    ledger.writer->tick();
    CHECK(proved(ledger.directory()) == std::vector<Coverage>{covered(0, second)});
  }
  ledger.clock.advance(1s);
  ledger.writer->prove({covered(0, 3)}, true, false);
  ledger.writer->tick();
  CHECK(proved(ledger.directory()) == std::vector<Coverage>{covered(0, 2)});
}

TEST_CASE("what some namespace has not proved is not told as proved", "[ledger][coverage]") {
  LedgerFixture ledger;
  ledger.writer->prove({covered(0, 10, "blue")}, /*all=*/false, true);
  CHECK(proved(ledger.directory()).size() == 1);
  CHECK_FALSE(ledger.writer->status().proved_until);
  ledger.writer->prove({covered(0, 20, "blue"), covered(0, 15, "red")}, /*all=*/true, true);
  CHECK(ledger.writer->status().proved_until == at_second(15));
}

TEST_CASE("the next run knows what was proved", "[ledger][coverage]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  ledger.writer->prove({covered(0, 10)}, true, true);
  ledger.reopen();
  REQUIRE(ledger.writer->previous_run());
  CHECK(ledger.writer->previous_run()->coverage ==
        std::vector<CoverageClaim>{{covered(0, 10), 5, {"boot 1", to_ms(UnixNs(kTestStart))}}});
}

TEST_CASE("a ledger proves nothing of records that were deleted", "[ledger][coverage]") {
  LedgerFixture ledger;
  ledger.segments({5, 5, 5});
  Coverage long_ago = covered(0, 1'000'000'000);
  long_ago.from = UnixMs();
  ledger.writer->prove({long_ago}, true, true);
  auto list = SegmentList::open(ledger.directory());
  CHECK(list->coverage() == std::vector<Coverage>{long_ago});
  std::filesystem::remove(ledger.path(0));
  list = SegmentList::open(ledger.directory());
  REQUIRE(list->coverage().size() == 1);
  CHECK(list->coverage()[0].from == list->entries().front().created);
}

}  // namespace
}  // namespace natsession::testing
