#include "ledger/checkpoint.h"

#include <catch2/catch.hpp>

#include "ledger_fixture.h"

namespace natsession::testing {
namespace {

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
