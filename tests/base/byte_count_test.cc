#include "base/byte_count.h"

#include <limits>

#include <catch2/catch.hpp>

namespace natsession {
namespace {

TEST_CASE("byte counts are read with and without a unit", "[base][byte_count]") {
  CHECK(parse_byte_count("0")->bytes == 0);
  CHECK(parse_byte_count("4096")->bytes == 4096);
  CHECK(parse_byte_count("1K")->bytes == 1024);
  CHECK(parse_byte_count("64M")->bytes == 64ULL * 1024 * 1024);
  CHECK(parse_byte_count("20G")->bytes == 20ULL * 1024 * 1024 * 1024);
  CHECK(parse_byte_count("1T")->bytes == 1ULL << 40);
  CHECK(parse_byte_count("18446744073709551615")->bytes == std::numeric_limits<std::uint64_t>::max());
  CHECK(parse_byte_count("16777215T")->bytes == 16'777'215ULL << 40);
}

TEST_CASE("a text that is no byte count is refused by name", "[base][byte_count]") {
  for (const std::string_view text : {"", "M", "-1", "+1", " 1", "1 M", "1MB", "1MiB", "1m", "1P", "1.5G",
                                      "0x10", "18446744073709551616", "16777216T", "18014398509481984K"}) {
    const auto result = parse_byte_count(text);
    INFO(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::kUsage);
    CHECK_THAT(result.error().message, Catch::StartsWith("'" + std::string(text) + "' is not a size"));
  }
}

TEST_CASE("byte counts are written in the largest unit that divides them, and read back",
          "[base][byte_count]") {
  CHECK(format_byte_count({0}) == "0");
  CHECK(format_byte_count({1023}) == "1023");
  CHECK(format_byte_count({1024}) == "1K");
  CHECK(format_byte_count({1536}) == "1536");
  CHECK(format_byte_count({1ULL << 50}) == "1024T");
  for (const std::uint64_t bytes :
       std::initializer_list<std::uint64_t>{1, 5ULL << 10, 7ULL << 20, 9ULL << 30, (1ULL << 40) + 1,
                                            std::numeric_limits<std::uint64_t>::max()}) {
    const auto back = parse_byte_count(format_byte_count({bytes}));
    REQUIRE(back);
    CHECK(back->bytes == bytes);
  }
}

}  // namespace
}  // namespace natsession
