#include "ledger/crc32c.h"

#include <array>
#include <random>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

namespace natsession::testing {
namespace {

std::span<const std::byte> bytes(const auto& from) {
  return std::as_bytes(std::span(from));
}

}  // namespace

TEST_CASE("crc32c gives the checksums of RFC 3720, appendix B.4", "[ledger][crc32c]") {
  std::array<std::uint8_t, 32> zeros{};
  std::array<std::uint8_t, 32> ones;
  ones.fill(0xff);
  std::array<std::uint8_t, 32> up;
  std::array<std::uint8_t, 32> down;
  for (std::uint8_t i = 0; i < 32; ++i) {
    up[i] = i;
    down[i] = static_cast<std::uint8_t>(31 - i);
  }
  const std::array<std::uint8_t, 48> command = {
      0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
      0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  for (const auto checksum : {crc32c, crc32c_by_table}) {
    CHECK(checksum(bytes(zeros), 0) == 0x8a9136aa);
    CHECK(checksum(bytes(ones), 0) == 0x62a8ab43);
    CHECK(checksum(bytes(up), 0) == 0x46dd794e);
    CHECK(checksum(bytes(down), 0) == 0x113fdb5c);
    CHECK(checksum(bytes(command), 0) == 0xd9963a56);
    CHECK(checksum(bytes(std::string_view("123456789")), 0) == 0xe3069283);
    CHECK(checksum({}, 0) == 0);
  }
}

TEST_CASE("crc32c by instruction and by table agree at every length and place", "[ledger][crc32c]") {
  std::mt19937 random(1);
  std::vector<std::uint8_t> many(300);
  for (auto& byte : many) byte = static_cast<std::uint8_t>(random());
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t length = 0; from + length <= many.size(); length += 7) {
      const auto part = bytes(many).subspan(from, length);
      REQUIRE(crc32c(part) == crc32c_by_table(part));
      const auto [first, rest] = std::pair(part.first(length / 3), part.subspan(length / 3));
      REQUIRE(crc32c(rest, crc32c(first)) == crc32c(part));
      REQUIRE(crc32c_by_table(rest, crc32c_by_table(first)) == crc32c(part));
    }
  }
}

}  // namespace natsession::testing
