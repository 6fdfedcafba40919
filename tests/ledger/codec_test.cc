// What frames are made of: rANS, models of numbers, the index of hosts, the dictionary of peers. Each by
// itself: what goes in comes out, at all limits; and bytes that are cut, flipped or made up never lead
// outside of them.
#include <random>

#include <catch2/catch.hpp>

#include "ledger/address_halves.h"
#include "ledger/crc32c.h"
#include "ledger/host_index.h"
#include "ledger/number_model.h"
#include "ledger/peer_dictionary.h"
#include "ledger/rans.h"
#include "record/golden.h"

namespace natsession::testing {
namespace {

// In a heap block of exactly their size, so that a sanitizer sees every read outside.
std::vector<std::byte> exactly(const std::string& bytes) {
  const auto span = std::as_bytes(std::span(bytes));
  return {span.begin(), span.end()};
}

// Every way in which bytes are cut or have one bit flipped.
template <typename Read>
void for_each_damage(const std::string& good, Read read) {
  for (std::size_t length = 0; length < good.size(); ++length) read(exactly(good.substr(0, length)));
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      read(exactly(bad));
    }
  }
}

// A column's numbers: what is frequent, what is large, what is anything.
std::vector<std::uint64_t> numbers_like(int kind, std::size_t count, std::mt19937_64& random) {
  std::vector<std::uint64_t> values;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t dice = random();
    switch (kind) {
      case 0:
        values.push_back(443);
        break;
      case 1:
        values.push_back(dice % 4 != 0 ? 443 : dice >> 8 & 0xffff);
        break;
      case 2:
        values.push_back((dice >> 6) >> (dice & 63));
        break;
      case 3:
        values.push_back(dice % 5 == 0   ? ~std::uint64_t{0}
                         : dice % 5 == 1 ? std::uint64_t{1} << 63
                                         : dice % 3);
        break;
      case 4:
        values.push_back(dice % 400);
        break;
      default:
        values.push_back(dice);
    }
  }
  return values;
}

struct Coded {
  std::string model;
  std::vector<std::string> blocks;
};

constexpr std::size_t kRows = 700;  // of a block of these tests

Coded coded(NumberSpan values, GroupSpan groups, std::size_t group_count, bool thorough,
            NumberSpan packets = {}, NumberSpan remainders = {}) {
  NumberEncoder encoder;
  encoder.begin(values, groups, group_count, thorough);
  Coded out;
  if (encoder.empty()) return out;
  encoder.append_model(out.model);
  for (std::size_t begin = 0; begin < values.size(); begin += kRows) {
    const std::size_t end = std::min(values.size(), begin + kRows);
    encoder.append_block(begin, end, packets, remainders, out.blocks.emplace_back());
  }
  return out;
}

}  // namespace

TEST_CASE("shares are all of what there is, and none of what there is not", "[ledger][codec]") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint32_t> counts(1 + random() % kMaxSymbols);
    for (std::uint32_t& count : counts) count = static_cast<std::uint32_t>((random() >> 40) >> random() % 24);
    if (round == 0) counts.assign(kMaxSymbols, 1);
    if (round == 1) counts = {0xffff'ff00, 1, 1, 1};
    std::vector<std::uint16_t> shares(counts.size());
    share_out(counts, shares);
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      sum += shares[i];
      REQUIRE((counts[i] == 0) == (shares[i] == 0));
    }
    const bool none =
        std::all_of(counts.begin(), counts.end(), [](std::uint32_t count) { return count == 0; });
    REQUIRE(sum == (none ? 0 : kRansTotal));
  }
}

TEST_CASE("a table of shares takes those that add up, and no others", "[ledger][codec]") {
  RansTable table;
  using Shares = std::vector<RansTable::Share>;
  CHECK(table.load(Shares{{2048, 7}}));
  CHECK(table.certain());
  CHECK(table.first() == 7);
  CHECK(table.load(Shares{{2047, 1}, {1, 2}}));
  CHECK_FALSE(table.certain());
  CHECK_FALSE(table.load(Shares{}));
  CHECK_FALSE(table.load(Shares{{2047, 0}}));
  CHECK_FALSE(table.load(Shares{{2048, 0}, {1, 1}}));
  CHECK_FALSE(table.load(Shares{{0xffff, 0}, {0xffff, 1}}));
}

TEST_CASE("numbers of every kind come out of their model as they went in", "[ledger][codec]") {
  const bool thorough = GENERATE(false, true);
  const std::size_t groups = GENERATE(0U, 2U, kMaxGroupsOfModel);
  std::mt19937_64 random(2);
  for (int kind = 0; kind < 6; ++kind) {
    for (const std::size_t count : {1U, 2U, 3U, 300U, 1401U}) {
      CAPTURE(thorough, groups, kind, count);
      const auto values = numbers_like(kind, count, random);
      std::vector<std::uint8_t> group_of(groups == 0 ? 0 : count);
      for (std::uint8_t& group : group_of) group = static_cast<std::uint8_t>(random() % groups);
      const Coded all = coded(values, group_of, groups, thorough);
      if (all.model.empty()) {
        REQUIRE(std::all_of(values.begin(), values.end(), [](std::uint64_t value) { return value == 0; }));
        continue;
      }
      const auto model = exactly(all.model);
      ByteReader in(model);
      NumberDecoder decoder;
      REQUIRE(decoder.load(in, std::max<std::size_t>(1, groups)));
      REQUIRE(in.left() == 0);
      for (std::size_t block = 0; block < all.blocks.size(); ++block) {
        const std::size_t begin = block * kRows;
        const std::size_t rows = std::min(kRows, count - begin);
        const auto bytes = exactly(all.blocks[block]);
        ByteReader from(bytes);
        std::vector<std::uint64_t> read(rows);
        std::vector<std::uint8_t> symbols(rows);
        const GroupSpan own = groups == 0 ? GroupSpan() : GroupSpan(group_of).subspan(begin, rows);
        REQUIRE(decoder.get_block(NumberDecoder::take_block(from), own, {}, read, symbols));
        REQUIRE(from.left() == 0);
        REQUIRE(std::equal(read.begin(), read.end(), values.begin() + static_cast<std::ptrdiff_t>(begin)));

        // As many of the first, and those of some symbols.
        ByteReader again(bytes);
        NumberDecoder::Block some{NumberDecoder::take_block(again), own, symbols};
        REQUIRE(decoder.get_symbols(some));
        std::vector<std::uint64_t> first(1 + random() % rows);
        REQUIRE(decoder.get_numbers(some, {}, first));
        REQUIRE(std::equal(first.begin(), first.end(), read.begin()));
        std::vector<std::uint8_t> asked(kMaxSymbols);
        for (std::uint8_t& each : asked) each = random() % 3 == 0 ? 1 : 0;
        std::vector<NumberDecoder::Found> found;
        REQUIRE(decoder.find(some, asked, found));
        auto next = found.begin();
        for (std::size_t row = 0; row < rows; ++row) {
          if (asked[symbols[row]] == 0) continue;
          REQUIRE(next != found.end());
          REQUIRE((next->row == row && next->number == read[row]));
          ++next;
        }
        REQUIRE(next == found.end());
        some.bytes = some.bytes.first(some.bytes.size() - std::min<std::size_t>(1, some.bytes.size()));
        found.clear();
        REQUIRE((decoder.find(some, asked, found) == !decoder.symbols().has_bits || some.bytes.empty()));
      }
      if (all.blocks.size() < 2) continue;
      // The first two at once: as one by one.
      std::vector<std::uint8_t> symbols(2 * kRows);
      std::vector<NumberDecoder::Block> two;
      std::vector<std::size_t> begins;
      for (const std::size_t block : {std::size_t{0}, std::size_t{1}}) {
        const std::size_t begin = block * kRows;
        const std::size_t rows = std::min(kRows, count - begin);
        ByteReader from(std::as_bytes(std::span(all.blocks[block])));
        two.push_back({NumberDecoder::take_block(from),
                       groups == 0 ? GroupSpan() : GroupSpan(group_of).subspan(begin, rows),
                       std::span(symbols).subspan(two.size() * kRows, rows)});
        begins.push_back(begin);
      }
      REQUIRE(decoder.get_symbols(two[0], decoder, two[1]));
      for (std::size_t i = 0; i < two.size(); ++i) {
        std::vector<std::uint64_t> read(two[i].symbols.size());
        REQUIRE(decoder.get_numbers(two[i], {}, read));
        REQUIRE(
            std::equal(read.begin(), read.end(), values.begin() + static_cast<std::ptrdiff_t>(begins[i])));
      }
    }
  }
}

TEST_CASE("numbers of the rows of one group come out alone where all others are one number",
          "[ledger][codec]") {
  std::mt19937_64 random(8);
  for (int round = 0; round < 40; ++round) {
    const std::size_t count = 1 + random() % kRows;
    std::vector<std::uint64_t> values(count);
    std::vector<std::uint8_t> group_of(count);
    std::vector<std::uint16_t> rows;
    const auto of_group = numbers_like(round % 5 + 1, count, random);
    for (std::size_t i = 0; i < count; ++i) {
      if (i != 0 && random() % (1 + static_cast<std::uint64_t>(round)) != 0) continue;
      values[i] = of_group[i];
      group_of[i] = 1;
      rows.push_back(static_cast<std::uint16_t>(i));
    }
    const Coded all = coded(values, group_of, 2, true);
    if (all.model.empty() || rows.size() == count) continue;
    const auto model = exactly(all.model);
    ByteReader in(model);
    NumberDecoder decoder;
    REQUIRE(decoder.load(in, 2));
    CHECK(decoder.has_one_symbol(0));
    const auto bytes = exactly(all.blocks[0]);
    ByteReader from(bytes);
    const auto block = NumberDecoder::take_block(from);
    std::vector<std::uint64_t> read(rows.size());
    REQUIRE(decoder.get_some(block, rows, 1, read));
    for (std::size_t i = 0; i < rows.size(); ++i) REQUIRE(read[i] == values[rows[i]]);
    // Fewer bytes than there must be.
    if (!block.empty()) CHECK_FALSE(decoder.get_some(block.first(block.size() - 1), rows, 1, read));
  }
}

TEST_CASE("checksums are the same with the processor's instruction and without, of any length",
          "[ledger][codec]") {
  std::mt19937_64 random(9);
  std::vector<std::byte> bytes(20'000);
  for (std::byte& each : bytes) each = static_cast<std::byte>(random());
  for (std::size_t length = 0; length < bytes.size(); length += 1 + random() % 97) {
    const auto some = std::span(bytes).subspan(random() % (bytes.size() - length + 1), length);
    const auto before = static_cast<std::uint32_t>(random());
    REQUIRE(crc32c(some, before) == crc32c_by_table(some, before));
  }
}

TEST_CASE("quotients and remainders give back the bytes, at all limits", "[ledger][codec]") {
  std::mt19937_64 random(3);
  // Codes: 0 is unknown, 1 none.
  std::vector<std::uint64_t> packets = {0, 0, 1, 1, 2, 2, ~std::uint64_t{0}, ~std::uint64_t{0}, 3, 5};
  std::vector<std::uint64_t> bytes = {0, 77, 0, 78, 1, 1500, 0, ~std::uint64_t{0}, ~std::uint64_t{0}, 1};
  while (bytes.size() < 500) {
    bytes.push_back(random() >> random() % 64);
    packets.push_back(random() >> random() % 64);
  }
  std::vector<std::uint64_t> quotients = bytes;
  std::vector<std::uint64_t> remainders(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (!has_remainder(bytes[i], packets[i])) continue;
    const Division divided = divide(bytes[i] - 1, packets[i] - 1);
    quotients[i] = divided.quotient + 1;
    remainders[i] = divided.remainder;
  }
  const Coded all = coded(quotients, {}, 1, true, packets, remainders);
  const auto model = exactly(all.model);
  ByteReader in(model);
  NumberDecoder decoder;
  REQUIRE(decoder.load(in, 1));
  const auto block = exactly(all.blocks[0]);
  ByteReader from(block);
  std::vector<std::uint64_t> counts = packets;
  for (std::uint64_t& count : counts) --count;  // unknown, 0, becomes the largest
  std::vector<std::uint64_t> read(bytes.size());
  std::vector<std::uint8_t> symbols(bytes.size());
  REQUIRE(decoder.get_block(NumberDecoder::take_block(from), {}, counts, read, symbols));
  CHECK(read == bytes);
}

TEST_CASE("a damaged model or block of numbers never leads outside of its bytes", "[ledger][codec]") {
  std::mt19937_64 random(4);
  const auto values = numbers_like(GENERATE(1, 2, 4), 300, random);
  std::vector<std::uint8_t> groups(values.size());
  for (std::uint8_t& group : groups) group = static_cast<std::uint8_t>(random() % 3);
  const Coded good = coded(values, groups, 3, true);
  std::vector<std::uint64_t> read(values.size());
  std::vector<std::uint8_t> symbols(values.size());
  for_each_damage(good.model, [&](const std::vector<std::byte>& model) {
    ByteReader in(model);
    NumberDecoder decoder;
    if (!decoder.load(in, 3)) return;
    const auto block = exactly(good.blocks[0]);
    ByteReader from(block);
    std::fill(symbols.begin(), symbols.end(), 0);
    static_cast<void>(decoder.get_block(NumberDecoder::take_block(from), groups, {}, read, symbols));
    REQUIRE(std::all_of(symbols.begin(), symbols.end(),
                        [&](auto each) { return each < decoder.symbols().size(); }));
  });
  const auto model = exactly(good.model);
  ByteReader in(model);
  NumberDecoder decoder;
  REQUIRE(decoder.load(in, 3));
  std::size_t wrong = 0;
  for_each_damage(good.blocks[0], [&](const std::vector<std::byte>& block) {
    ByteReader from(block);
    const auto taken = NumberDecoder::take_block(from);
    wrong += decoder.get_block(taken, groups, {}, read, symbols) && from.ok() && from.left() == 0 ? 1U : 0U;
  });
  // Further bits say nothing of what they should be; all that is cut, and nearly all of rANS, is found.
  CHECK(wrong < 8 * good.blocks[0].size());
  CHECK_FALSE(decoder.get_block({}, groups, {}, read, symbols));
}

TEST_CASE("an index of hosts gives back its runs", "[ledger][codec]") {
  std::mt19937_64 random(5);
  const bool v6 = GENERATE(false, true);
  std::vector<HostRun> runs;
  std::uint32_t row = 0;
  Halves at{v6 ? 0x2001'0db8'0000'0000U : 0, v6 ? 0 : 0xffff'0a00'0000U};
  for (std::size_t i = 0; i < 1000; ++i) {
    const auto rows = static_cast<std::uint32_t>(1 + random() % (i % 100 == 0 ? 5000 : 4));
    runs.push_back({address_of(at), static_cast<std::uint16_t>(i / 300), row, rows});
    row += rows;
    at.low += 1 + (i % 50 == 0 ? random() >> (v6 ? 8 : 44) : random() % 300);
    if (v6 && i % 77 == 0) ++at.high;
  }
  std::string index;
  std::string entries;
  append_host_index(runs, index, entries);
  const auto index_bytes = exactly(index);
  const auto entry_bytes = exactly(entries);
  std::vector<HostBlock> blocks;
  REQUIRE(read_host_blocks(index_bytes, 4, row, entry_bytes.size(), blocks));
  std::vector<HostRun> read;
  for (const HostBlock& block : blocks) REQUIRE(read_host_runs(block, entry_bytes, read));
  REQUIRE(read.size() == runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    REQUIRE(read[i].pri_ip == runs[i].pri_ip);
    REQUIRE(read[i].nat == runs[i].nat);
    REQUIRE(read[i].first_row == runs[i].first_row);
    REQUIRE(read[i].rows == runs[i].rows);
  }
  for (int round = 0; round < 200; ++round) {
    const IpAddress one = runs[random() % runs.size()].pri_ip;
    const IpAddress other = round % 3 == 0 ? one : runs[random() % runs.size()].pri_ip;
    const IpAddress from = std::min(one, other);
    const IpAddress to = std::max(one, other);
    std::vector<IpAddress> expected;
    for (const HostRun& run : runs) {
      if (run.pri_ip >= from && run.pri_ip <= to) expected.push_back(run.pri_ip);
    }
    read.clear();
    for (const HostBlock& block : blocks) REQUIRE(read_host_runs(block, entry_bytes, from, to, read));
    REQUIRE(std::equal(read.begin(), read.end(), expected.begin(), expected.end(),
                       [](const HostRun& run, const IpAddress& address) { return run.pri_ip == address; }));
  }
  const std::size_t rows = row;
  const auto within = [&](std::span<const std::byte> some_index, std::span<const std::byte> some_entries) {
    if (!read_host_blocks(some_index, 4, rows, some_entries.size(), blocks)) return;
    for (const HostBlock& block : blocks) {
      read.clear();
      if (!read_host_runs(block, some_entries, read)) continue;
      for (const HostRun& run : read)
        REQUIRE((run.nat < 4 && run.rows > 0 && run.rows <= rows - run.first_row));
    }
  };
  for_each_damage(index, [&](const std::vector<std::byte>& bad) { within(bad, entry_bytes); });
  for_each_damage(entries.substr(0, 200),
                  [&](const std::vector<std::byte>& bad) { within(index_bytes, bad); });
}

TEST_CASE("a dictionary has a place for what several records have, and says what it is asked for",
          "[ledger][codec]") {
  std::mt19937_64 random(6);
  PeerCounter counter;
  std::vector<IpAddress> addresses;
  std::vector<std::size_t> records;
  for (std::uint32_t i = 0; i < 3000; ++i) {
    std::array<std::uint8_t, 16> bytes{0x20, 0x01};
    for (std::size_t byte = i % 3 == 0 ? 7 : 13; byte < 16; ++byte)
      bytes[byte] = static_cast<std::uint8_t>(random());
    addresses.push_back(i % 4 == 0 ? IpAddress::from_v6(bytes)
                                   : IpAddress::from_v4(static_cast<std::uint32_t>(random())));
    records.push_back(1 + 20'000 / (i + 1));
    for (std::size_t record = 0; record < records.back(); ++record) counter.add(addresses.back(), {6, 443});
  }
  counter.add(ip("192.0.2.1"), {6, 80});  // both as often: mostly nothing
  counter.add(ip("192.0.2.1"), {17, 53});
  const std::string bytes = counter.finish();
  const auto dictionary = PeerDictionary::read(bytes);
  REQUIRE(dictionary);
  const PeerDictionary& peers = **dictionary;
  std::size_t known = 0;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const std::uint32_t place = peers.place_of(addresses[i]);
    if (records[i] < 2) continue;
    REQUIRE(place > 0);
    REQUIRE(peers.at(place) == addresses[i]);
    REQUIRE(peers.all()[place - 1] == addresses[i]);
    REQUIRE(peers.service(place) == 1);
    ++known;
  }
  CHECK(known > 2000);
  CHECK(peers.place_of(addresses[0]) == 1);  // the most frequent of all
  REQUIRE(peers.place_of(ip("192.0.2.1")) > 0);
  CHECK(peers.service(peers.place_of(ip("192.0.2.1"))) == 0);
  CHECK(peers.place_of(ip("192.0.2.2")) == 0);
  CHECK(peers.place_of(ip("2001:db8::5")) == 0);
  CHECK(peers.checksum() != 0);
  std::vector<IpAddress> asked{ip("0.0.0.0"), ip("192.0.2.1"), ip("192.0.2.2"), ip("255.255.255.255"),
                               ip("ffff::")};
  for (std::size_t i = 0; i < addresses.size(); i += 1 + i / 10) asked.push_back(addresses[i]);
  for (std::size_t few = 1; few <= asked.size(); few *= 2) {
    std::vector<IpAddress> ascending(asked.end() - static_cast<std::ptrdiff_t>(few), asked.end());
    std::sort(ascending.begin(), ascending.end());
    std::vector<std::uint8_t> marks(peers.size() + 1);
    peers.mark(ascending, marks);
    for (std::uint32_t place = 1; place <= peers.size(); ++place) {
      REQUIRE(marks[place] == std::binary_search(ascending.begin(), ascending.end(), peers.at(place)));
    }
  }
  CHECK(PeerCounter().finish().empty());
  CHECK_FALSE(PeerDictionary::read(""));
}

TEST_CASE("a damaged dictionary is refused or read, and never leads outside of its bytes",
          "[ledger][codec]") {
  PeerCounter counter;
  for (std::uint32_t i = 0; i < 60; ++i) {
    for (int record = 0; record < 3; ++record) {
      counter.add(i % 5 == 0 ? ip("2001:db8::" + std::to_string(i)) : IpAddress::from_v4(i * 7919),
                  {6, static_cast<std::uint16_t>(i)});
    }
  }
  const std::string good = counter.finish();
  REQUIRE(PeerDictionary::read(good));
  std::size_t cut = 0;
  for_each_damage(good, [&](const std::vector<std::byte>& bad) {
    const auto read =
        PeerDictionary::read(std::string(reinterpret_cast<const char*>(bad.data()), bad.size()));
    if (!read) {
      REQUIRE(read.error().kind == ErrorKind::kMalformed);
      return;
    }
    cut += bad.size() < good.size() ? 1U : 0U;
    REQUIRE((*read)->all().size() == (*read)->size());
    for (std::uint32_t place = 1; place <= (*read)->size(); ++place) {
      REQUIRE((*read)->at(place) == (*read)->all()[place - 1]);
      static_cast<void>((*read)->service(place));
      static_cast<void>((*read)->place_of((*read)->at(place)));
    }
  });
  CHECK(cut == 0);
}

}  // namespace natsession::testing
