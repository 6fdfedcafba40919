#include "ledger/column_numbers.h"

#include <array>
#include <functional>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "ledger/crc32c.h"
#include "ledger/number_coding.h"

namespace natsession::testing {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

std::string written(std::span<const std::uint64_t> numbers, Effort effort, NumberShape shape) {
  std::string out;
  NumberWriter(effort).append(numbers, shape, out);
  return out;
}

std::optional<std::vector<std::uint64_t>> read(const std::string& bytes, std::size_t count) {
  std::vector<std::uint64_t> numbers(count);
  ByteReader in(std::as_bytes(std::span(bytes)));
  if (!NumberReader().read(in, numbers) || !in.ok() || in.left() != 0) return std::nullopt;
  return numbers;
}

NumberCoding coding_of(const std::string& bytes) {
  return static_cast<NumberCoding>(bytes[0]);
}

std::vector<std::uint64_t> generated(std::size_t count,
                                     const std::function<std::uint64_t(std::mt19937_64&)>& make) {
  std::mt19937_64 random(count);
  std::vector<std::uint64_t> numbers;
  for (std::size_t i = 0; i < count; ++i) numbers.push_back(make(random));
  return numbers;
}

TEST_CASE("numbers of every kind are read as they were written", "[ledger][column]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  const NumberShape shape = GENERATE(NumberShape::kFlat, NumberShape::kTailed, NumberShape::kSparse);
  const std::size_t count = GENERATE(1U, 2U, 31U, 32U, 33U, 500U, 16'384U);
  const std::vector<std::function<std::uint64_t(std::mt19937_64&)>> kinds = {
      [](auto&) { return std::uint64_t{7}; },
      [](auto&) { return kMost; },
      [](auto& random) { return random(); },
      [](auto& random) { return random() % 2 == 0 ? 0 : kMost; },
      [](auto& random) { return kMost - random() % 1000; },
      [](auto& random) { return random() % 200; },
      [](auto& random) { return random() % 65'536; },
      [](auto& random) { return random() >> (random() % 64); },
      [](auto& random) { return random() % 20 == 0 ? random() : 5; },
      [](auto& random) { return random() % 300 == 0 ? random() % 3 : 0; },
      [](auto& random) { return (random() % 5) * 1'000'000'007; },
      [](auto& random) { return random() % 3 == 0 ? std::uint64_t{1} << 63 : random() % 9; },
  };
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    CAPTURE(kind, count);
    const auto numbers = generated(count, kinds[kind]);
    REQUIRE(read(written(numbers, effort, shape), count) == numbers);
  }
}

TEST_CASE("sealing takes the coding that suits the numbers", "[ledger][column]") {
  const auto small = [](const auto& make) {
    return written(generated(8000, make), Effort::kSmall, NumberShape::kTailed);
  };
  CHECK(coding_of(small([](auto&) { return 3; })) == NumberCoding::kConstant);
  CHECK(coding_of(small([](auto& random) { return random() % 100 == 0 ? random() % 50 : 0; })) ==
        NumberCoding::kSparse);
  CHECK(coding_of(small([](auto& random) { return random() >> (random() % 64); })) == NumberCoding::kBuckets);
  CHECK(coding_of(small([](auto& random) { return (random() % 6) * 123'456'789'012; })) ==
        NumberCoding::kDictionary);
  CHECK(coding_of(small([](auto& random) { return random() % 1024; })) == NumberCoding::kBits);
}

TEST_CASE("no bytes at all stand for no numbers", "[ledger][column]") {
  CHECK(written({}, Effort::kFast, NumberShape::kFlat).empty());
  CHECK(read("", 0).has_value());
}

TEST_CASE("numbers that claim what cannot be are refused", "[ledger][column]") {
  const auto refused = [](std::string_view bytes, std::size_t count) {
    return !read(std::string(bytes), count).has_value();
  };
  using namespace std::string_view_literals;
  CHECK(refused("", 1));
  CHECK(refused("\x06\x00"sv, 1));                      // no such coding
  CHECK(refused("\x00"sv, 1));                          // constant without a number
  CHECK(refused("\x01\x41\x00"sv, 1));                  // 65 bits
  CHECK(refused("\x01\x08\x00\x01"sv, 2));              // one byte short
  CHECK(refused("\x02\x09\x00"sv, 1));                  // nine planes
  CHECK(refused("\x02\x00\x00"sv, 1));                  // no plane
  CHECK(refused("\x03\x08\x00\x00\x01"sv, 1));          // mantissa of eight bits
  CHECK(refused("\x03\x02\x00\x00\xfc"sv, 1));          // a symbol that no number has
  CHECK(refused("\x04\x00\x02"sv, 1));                  // more exceptions than numbers
  CHECK(refused("\x04\x00\x01\x00\x01\x00\x05"sv, 1));  // a gap to behind the end
  CHECK(refused("\x05\x00"sv, 1));                      // an empty dictionary
  CHECK(refused("\x05\x01\x00\x07\x00\x01"sv, 1));      // an index behind its end
  CHECK(refused("\x05\x81\x80\x01"sv, 1));              // a dictionary of 16,385
  CHECK_FALSE(refused("\x05\x01\x00\x07\x00\x00"sv, 1));
  std::string nested;
  for (int depth = 0; depth < 1000; ++depth) nested += "\x05\x01"sv;
  CHECK(refused(nested, 1));
}

TEST_CASE("a varint is refused beyond 64 bits and where it is cut", "[ledger][column]") {
  const auto value_of = [](std::string_view bytes) {
    ByteReader in(std::as_bytes(std::span(bytes)));
    const std::uint64_t value = in.varint();
    return in.ok() ? std::optional(value) : std::nullopt;
  };
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t value :
         {std::uint64_t{1} << bit, (std::uint64_t{1} << bit) - 1, ~std::uint64_t{0} >> bit}) {
      std::string bytes;
      append_varint(value, bytes);
      REQUIRE(value_of(bytes) == value);
      REQUIRE_FALSE(value_of(bytes.substr(0, bytes.size() - 1)));
    }
  }
  CHECK_FALSE(value_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
  CHECK_FALSE(value_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
}

TEST_CASE("a bucket's symbol and further bits give the number back", "[ledger][column]") {
  for (unsigned mantissa = 0; mantissa <= kMaxMantissa; ++mantissa) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      const std::uint64_t power = std::uint64_t{1} << bit;
      for (const std::uint64_t number :
           {power - 1, power, power + 1, power + power / 3, ~std::uint64_t{0} >> bit}) {
        if (number > bucket_limit(mantissa)) continue;
        const Bucket bucket = bucket_of(number, mantissa);
        const BucketTable& table = kBucketTables[mantissa];
        REQUIRE(table.bits[bucket.symbol] == bucket.bits);
        REQUIRE(table.base[bucket.symbol] + (number & low_bits(bucket.bits)) == number);
      }
    }
  }
}

TEST_CASE("bits are read as they were put, whatever their widths", "[ledger][column]") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::pair<std::uint64_t, unsigned>> parts;
    std::uint64_t total = 0;
    for (int i = 0; i < 100; ++i) {
      const auto width = static_cast<unsigned>(random() % 65);
      parts.emplace_back(random() & low_bits(width), width);
      total += width;
    }
    std::string out = "before";
    {
      BitWriter writer(total, out);
      for (const auto& [value, width] : parts) writer.put(value, width);
    }
    REQUIRE(out.size() == 6 + bytes_for_bits(total));
    REQUIRE(out.starts_with("before"));
    BitReader reader(std::as_bytes(std::span(out)).subspan(6));
    for (const auto& [value, width] : parts) REQUIRE(reader.get(width) == value);
    REQUIRE(reader.place() == total);
    REQUIRE(reader.get(64) == 0);  // behind the end
  }
}

TEST_CASE("a remainder takes no more bits than it must", "[ledger][column]") {
  for (const std::uint64_t packets :
       std::initializer_list<std::uint64_t>{1, 2, 3, 5, 8, 1000, kMost / 2 + 2, kMost - 1}) {
    for (const std::uint64_t remainder : {std::uint64_t{0}, packets / 3, packets / 2, packets - 1}) {
      CAPTURE(packets, remainder);
      std::string out;
      const unsigned bits = remainder_bits(remainder, packets);
      CHECK(bits <= static_cast<unsigned>(std::bit_width(packets - 1)));
      {
        BitWriter writer(bits, out);
        put_remainder(remainder, packets, writer);
      }
      BitReader reader(std::as_bytes(std::span(out)));
      CHECK(get_remainder(packets, reader) == remainder);
      CHECK(reader.place() == bits);
    }
  }
}

std::span<const std::byte> bytes(const auto& from) {
  return std::as_bytes(std::span(from));
}

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

}  // namespace
}  // namespace natsession::testing
