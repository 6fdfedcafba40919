#include <fstream>
#include <iterator>
#include <sstream>

#include <catch2/catch.hpp>

#include "ledger/crc32c.h"
#include "ledger/frame_columns.h"
#include "ledger/frame_fixture.h"
#include "ledger/frame_layout.h"
#include "ledger/mend_checksums.h"
#include "record/encoder.h"

namespace natsession::testing {
namespace {

std::string kept(const std::string& name) {
  std::ifstream file(std::string(NATSESSION_LEDGER_VERSION_1) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> frames_of_version_1() {
  std::vector<std::string> frames;
  std::string all = kept("frames");
  while (!all.empty()) {
    const auto header = parse_frame_header(bytes_of(all));
    REQUIRE(header);
    REQUIRE(header->version == 1);
    REQUIRE(header->info.readable);
    frames.push_back(all.substr(0, header->info.bytes));
    all.erase(0, header->info.bytes);
  }
  return frames;
}

// As the file `records` has them.
std::string told_of(const RecordBlock& block) {
  const auto encoder = make_encoder({.with_netns = true});
  std::ostringstream lines;
  for (std::size_t i = 0; i < block.records.size(); ++i) {
    std::string line;
    encoder->append(block.records[i], line);
    lines << std::dec << block.ordinals[i] << ' ' << std::hex << crc32c(bytes_of(line)) << '\n';
  }
  return lines.str();
}

TEST_CASE("frames of version 1 say the records that they were made of", "[ledger][frame][version_1]") {
  const std::string expected = kept("records");
  RecordBlock block;
  FrameDecoder decoder;
  std::size_t frames = 0;
  for (const std::string& frame : frames_of_version_1()) {
    REQUIRE(decoder.decode(bytes_of(frame), block));
    ++frames;
  }
  CHECK(frames == 16);
  CHECK(block.records.size() == 1748);
  CHECK(told_of(block) == expected);
}

TEST_CASE("of a frame of version 1 columns and rows can be asked for, and what its header says holds",
          "[ledger][frame][version_1]") {
  for (const std::string& frame : frames_of_version_1()) {
    RecordBlock whole;
    REQUIRE(FrameDecoder().decode(bytes_of(frame), whole));
    FrameColumns columns;
    const auto read = [&](std::uint64_t at, std::span<std::byte> out) {
      std::copy_n(bytes_of(frame).begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
      return true;
    };
    REQUIRE(columns.open(static_cast<std::uint32_t>(frame.size()), read, {}));
    const auto header = read_frame_header(bytes_of(frame));
    REQUIRE(header);
    CHECK(columns.info().first == header->first);
    CHECK(columns.info().last == header->last);
    CHECK(columns.info().records == header->records);
    CHECK(columns.info().long_sessions == header->long_sessions);
    CHECK(columns.info().min_start == header->min_start);
    CHECK(columns.info().max_end == header->max_end);
    const auto ordinals = columns.ordinals();
    const auto ports = columns.ports(Field::kNatPort);
    REQUIRE(ordinals);
    REQUIRE(ports);
    for (std::size_t row = 0; row < ordinals->size(); ++row) {
      const auto at = std::lower_bound(whole.ordinals.begin(), whole.ordinals.end(), (*ordinals)[row]);
      REQUIRE((*ports)[row] == whole.records[static_cast<std::size_t>(at - whole.ordinals.begin())].nat_port);
    }
    REQUIRE(columns.verify());
  }
}

TEST_CASE("a byte that is not as it was makes a frame of version 1 a damaged one",
          "[ledger][frame][version_1]") {
  FrameDecoder decoder;
  for (const std::string& good : frames_of_version_1()) {
    for (std::size_t at = 0; at < good.size(); at += 1 + good.size() / 500) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1 << at % 8);
      RecordBlock block;
      REQUIRE_FALSE(decoder.decode(bytes_of(bad), block));
      REQUIRE(block.records.empty());
    }
    RecordBlock block;
    REQUIRE_FALSE(decoder.decode(bytes_of(good).first(good.size() - 1), block));
  }
}

// As somebody may make them who means harm.
TEST_CASE("what a frame of version 1 claims with good checksums is read, or told, and harms nobody",
          "[ledger][frame][version_1]") {
  std::mt19937 random(7);
  FrameDecoder decoder;
  std::size_t read = 0;
  std::size_t told = 0;
  for (const std::string& good : frames_of_version_1()) {
    for (int round = 0; round < 400; ++round) {
      std::string bad = good;
      for (auto changes = 1 + random() % 3; changes > 0; --changes) {
        std::size_t at = 24 + random() % (bad.size() - 24);
        if (round % 4 == 0) at = kFrameHeaderBytes + random() % 200 % (bad.size() - kFrameHeaderBytes);
        bad[at] = static_cast<char>(random());
      }
      mend_checksums(bad);
      RecordBlock block;
      (decoder.decode(bytes_of(bad), block) ? read : told) += 1;
    }
  }
  CHECK(read > 0);
  CHECK(told > 0);
}

}  // namespace
}  // namespace natsession::testing
