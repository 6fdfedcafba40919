#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include <catch2/catch.hpp>

#include "ledger/frame_encoder.h"
#include "ledger/ledger_fixture.h"
#include "ledger/mend_checksums.h"
#include "ledger/segment_summer.h"
#include "ledger/segment_sums.h"

namespace natsession::testing {
namespace {

using Entries = std::map<std::pair<std::int64_t, SumsKey>, Sums>;

Entries entries_of(const SegmentSums& sums, SumsKind kind) {
  Entries entries;
  const auto read = sums.read(kind, [&](std::span<const SumsEntry> part) {
    for (const SumsEntry& entry : part) entries[{entry.period, entry.key}].add(entry.sums);
  });
  if (!read) throw std::runtime_error(read.error().message);
  return entries;
}

// Two segments of 100 records each, one of them sealed; at the seconds 0 to 199 behind 1970.
struct TwoSegments : LedgerFixture {
  TwoSegments() {
    frame(0, 60);
    frame(60, 40);
    next_segment();
    frame(100, 100);
    keep();
  }
  [[nodiscard]] SumsMark mark() const {
    const auto list = SegmentList::open(directory());
    if (!list) throw std::runtime_error(list.error().message);
    return {list->entries()[0].name.first, list->entries()[0].seal};
  }
  [[nodiscard]] Result<SegmentSums> sums() const {
    const auto opened = LedgerDirectory::open(directory());
    if (!opened) throw std::runtime_error(opened.error().message);
    return SegmentSums::open(*opened, mark());
  }
  // As a daemon that starts again does.
  void upkeep() {
    compact_with(settings.retention, settings.limit);
    keep();
  }
};

TEST_CASE("a segment that is sealed has its sums beside it", "[ledger][sums]") {
  TwoSegments ledger;
  CHECK(std::filesystem::exists(ledger.sums_path(0)));
  CHECK_FALSE(std::filesystem::exists(ledger.sums_path(100)));
  const auto sums = ledger.sums();
  REQUIRE(sums);
  CHECK(sums->gaps().empty());
  const SessionRecord like = numbered_record(0);

  // Record n moved 100 bytes from second n to n + 1.
  const Entries spread = entries_of(*sums, SumsKind::kMinutes);
  const Entries at_end = entries_of(*sums, SumsKind::kMinutesAtEnd);
  REQUIRE(spread.size() == 2);
  REQUIRE(at_end.size() == 2);
  const SumsKey udp = SumsKey::of(std::uint8_t{17});
  CHECK(spread.at({0, udp}).bytes_from_vpc == 6000);
  CHECK(spread.at({0, udp}).records == 59);  // the one of second 59 ends at 60
  CHECK(spread.at({1, udp}).records == 41);
  CHECK(at_end.at({0, udp}).bytes_from_vpc == 5900);
  CHECK(at_end.at({1, udp}).bytes_from_vpc == 4100);
  CHECK(at_end.at({0, udp}).sessions == 1);  // only the first record has seq 0
  CHECK(at_end.at({1, udp}).sessions == 0);
  CHECK(at_end.at({1, udp}).unknown == 41);  // what came back is not known
  for (const auto& [kind, address] :
       {std::pair(SumsKind::kHoursByPriIp, like.pri_ip), std::pair(SumsKind::kHoursByPubIp, like.pub_ip),
        std::pair(SumsKind::kHoursByNatIp, like.nat_ip)}) {
    const Entries hours = entries_of(*sums, kind);
    REQUIRE(hours.size() == 1);
    CHECK(hours.begin()->first.first == 0);
    CHECK(hours.begin()->first.second.address() == address);
    CHECK(hours.begin()->second.records == 100);
    CHECK(hours.begin()->second.pkts_from_vpc == 100);
  }
}

TEST_CASE("sums that are missing, damaged or of another form of the segment are made again",
          "[ledger][sums]") {
  TwoSegments ledger;
  const std::string good = read_file(ledger.sums_path(0));
  std::string bytes = good;
  SECTION("missing") {
    std::filesystem::remove(ledger.sums_path(0));
  }
  SECTION("cut off") {
    bytes.resize(bytes.size() - 1);
    write_file(ledger.sums_path(0), bytes);
  }
  SECTION("empty") {
    write_file(ledger.sums_path(0), "");
  }
  SECTION("longer than it says") {
    write_file(ledger.sums_path(0), good + "x");
  }
  SECTION("another form") {
    bytes[24] = static_cast<char>(bytes[24] ^ 1);
    correct_checksum(bytes, 0, kSumsHeaderBytes - 4);
    write_file(ledger.sums_path(0), bytes);
  }
  CHECK(ledger.sums().error().kind == ErrorKind::kMalformed);
  ledger.upkeep();
  CHECK(read_file(ledger.sums_path(0)) == good);
  CHECK(ledger.compactor->status().failure.empty());
}

TEST_CASE("any byte of the sums that is flipped is found, and mended", "[ledger][sums]") {
  TwoSegments ledger;
  const std::string good = read_file(ledger.sums_path(0));
  for (std::size_t at = 0; at < good.size(); at += at < 300 ? 1 : 7) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    write_file(ledger.sums_path(0), bytes);
    const auto sums = ledger.sums();
    REQUIRE_FALSE((sums && sums->verify()));
    if (at % 50 != 0) continue;
    ledger.upkeep();
    REQUIRE(read_file(ledger.sums_path(0)) == good);
  }
}

TEST_CASE("sums that a newer version wrote are told from damage, and left alone", "[ledger][sums]") {
  TwoSegments ledger;
  std::string bytes = read_file(ledger.sums_path(0));
  const auto at = GENERATE(std::size_t{8}, std::size_t{12});  // version, required features
  bytes[at] = 3;
  correct_checksum(bytes, 0, kSumsHeaderBytes - 4);
  write_file(ledger.sums_path(0), bytes);
  CHECK(ledger.sums().error().kind == ErrorKind::kUnavailable);
  CHECK(ledger.sums().error().message.find("a newer program wrote it") != std::string::npos);
  ledger.upkeep();
  CHECK(read_file(ledger.sums_path(0)) == bytes);
  CHECK(ledger.compactor->status().failure.empty());
}

TEST_CASE("sums that an earlier version wrote, whose numbers mean something else, are made anew",
          "[ledger][sums]") {
  TwoSegments ledger;
  const std::string good = read_file(ledger.sums_path(0));
  std::string bytes = good;
  bytes[8] = 1;
  correct_checksum(bytes, 0, kSumsHeaderBytes - 4);
  write_file(ledger.sums_path(0), bytes);
  CHECK(ledger.sums().error().kind == ErrorKind::kMalformed);
  ledger.upkeep();
  CHECK(read_file(ledger.sums_path(0)) == good);
}

TEST_CASE("a kind of sums that is not known is passed over", "[ledger][sums]") {
  TwoSegments ledger;
  std::string section;
  SumsPacker packer;
  const SumsEntry entry{7, SumsKey::of(std::uint8_t{6}), {1, 2, 3, 4, 5, 6, 7}};
  packer.append({&entry, 1}, section);
  const SumsSection sections[] = {{static_cast<SumsKind>(900), "something"}, {SumsKind::kMinutes, section}};
  write_file(ledger.sums_path(0), encode_sums(ledger.mark(), "", sections));
  const auto sums = ledger.sums();
  REQUIRE(sums);
  CHECK(sums->has(SumsKind::kMinutes));
  CHECK_FALSE(sums->has(SumsKind::kHoursByPriIp));
  CHECK(entries_of(*sums, SumsKind::kMinutes) == Entries{{{7, entry.key}, entry.sums}});
  CHECK(sums->verify());
}

TEST_CASE("sums go with their segment, by age and by the byte limit, of which they are a part",
          "[ledger][sums]") {
  TwoSegments ledger;
  ledger.next_segment();
  ledger.frame(200, 10);
  ledger.keep();
  REQUIRE(std::filesystem::exists(ledger.sums_path(100)));
  std::uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(ledger.directory() + "/segments"))
    bytes += file.file_size();
  CHECK(ledger.compactor->status().bytes == bytes);
  ledger.compact_with(ledger.settings.retention, ByteCount{bytes - 1});
  ledger.keep();
  CHECK(ledger.segment_files() ==
        std::vector<std::string>{segment_name(100, true), segment_name(200, false)});
  CHECK_FALSE(std::filesystem::exists(ledger.sums_path(0)));
  CHECK(std::filesystem::exists(ledger.sums_path(100)));
}

TEST_CASE("what a crash leaves of sums is removed at the next start", "[ledger][sums]") {
  TwoSegments ledger;
  write_file(ledger.sums_path(0) + ".tmp", "half");
  write_file(ledger.sums_path(77), "of no segment");
  const std::string good = read_file(ledger.sums_path(0));
  ledger.upkeep();
  CHECK_FALSE(std::filesystem::exists(ledger.sums_path(0) + ".tmp"));
  CHECK_FALSE(std::filesystem::exists(ledger.sums_path(77)));
  CHECK(read_file(ledger.sums_path(0)) == good);
}

TEST_CASE("a segment with damage has sums that say nothing, so that the records are asked",
          "[ledger][sums]") {
  LedgerFixture ledger;
  for (std::uint32_t frame = 0; frame < 4; ++frame) ledger.frame(frame * 10, 10);
  ledger.next_segment();
  const auto frames = frames_in(ledger.directory(), 0);
  std::string file = read_file(ledger.path(0));
  const FramePlace& place = frames[1];
  SECTION("in a column") {
    const std::size_t at = place.offset + place.info.bytes - 1;
    file[at] = static_cast<char>(file[at] ^ 1);
  }
  SECTION("in a header") {
    file[place.offset] = '?';
  }
  write_file(ledger.path(0), file);
  ledger.keep();
  const auto look = [&] {
    const auto list = SegmentList::open(ledger.directory());
    REQUIRE(list);
    const auto directory = LedgerDirectory::open(ledger.directory());
    const auto sums = SegmentSums::open(*directory, {0, list->entries()[0].seal});
    REQUIRE(sums);
    for (const SumsKind kind : kSumsKinds) CHECK_FALSE(sums->has(kind));
  };
  look();
  std::filesystem::remove(ledger.sums_path(0));
  ledger.compact_with(ledger.settings.retention, ledger.settings.limit);
  ledger.keep();
  look();
}

TEST_CASE("gap records are not summed up, and their ordinals are kept", "[ledger][sums]") {
  LedgerFixture ledger;
  ledger.frame(0, 30);
  SessionRecord gap;
  gap.origin = &test_origin();
  gap.event = RecordEvent::kGap;
  gap.reason = RecordReason::kStarted;
  gap.start_time = kUnknownStart;
  gap.end_time = at_second(31);
  REQUIRE(ledger.writer->append({&gap, 1}) == 1);
  ledger.frame(31, 30);
  ledger.next_segment();
  ledger.keep();
  const auto list = SegmentList::open(ledger.directory());
  const auto directory = LedgerDirectory::open(ledger.directory());
  const auto sums = SegmentSums::open(*directory, {0, list->entries()[0].seal});
  REQUIRE(sums);
  CHECK(sums->gaps() == std::vector<Ordinal>{30});
  const Entries minutes = entries_of(*sums, SumsKind::kMinutesAtEnd);
  std::uint64_t records = 0;
  for (const auto& [key, entry] : minutes) records += entry.records;
  CHECK(records == 60);
}

// What FORMAT.md gives as the bytes of a file, in its block `sums`.
std::string bytes_of_page() {
  std::ifstream page(NATSESSION_LEDGER_FORMAT_PAGE);
  std::string bytes;
  bool within = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      within = line == "```sums";
      continue;
    }
    std::istringstream words(within ? line : "");
    for (std::string word; words >> word && word.size() == 2 &&
                           word.find_first_not_of("0123456789abcdef") == std::string::npos;) {
      bytes.push_back(static_cast<char>(std::stoul(word, nullptr, 16)));
    }
  }
  return bytes;
}

TEST_CASE("the worked example of FORMAT.md is what is written for its two records, byte for byte",
          "[ledger][sums][format]") {
  constexpr std::int64_t kMinute = 1'795'263'662'108 / 60'000;
  Sums tcp;
  tcp.bytes_from_pub = 18234;
  tcp.pkts_from_pub = 21;
  tcp.bytes_from_vpc = 2954;
  tcp.pkts_from_vpc = 17;
  tcp.records = 1;
  Sums dns;
  dns.bytes_from_pub = 151;
  dns.pkts_from_pub = 1;
  dns.bytes_from_vpc = 62;
  dns.pkts_from_vpc = 1;
  dns.sessions = dns.records = 1;
  const SumsEntry entries[] = {{kMinute, SumsKey::of(std::uint8_t{6}), tcp},
                               {kMinute, SumsKey::of(std::uint8_t{17}), dns}};
  SumsSection section{SumsKind::kMinutesAtEnd, {}};
  SumsPacker().append(entries, section.bytes);
  const std::string written = encode_sums({4711, 0x01234567}, "", {&section, 1});
  CHECK(bytes_of_page() == written);
}

// Random records of some addresses, summed up frame by frame.
class Summed {
 public:
  explicit Summed(std::uint32_t addresses, std::uint64_t records) : summer(records), addresses_(addresses) {}

  void frame(std::size_t count) {
    std::vector<SessionRecord> records;
    std::vector<Ordinal> ordinals;
    for (std::size_t i = 0; i < count; ++i) {
      SessionRecord record = numbered_record(static_cast<std::uint32_t>(random_() % 20'000));
      record.pub_ip = IpAddress::from_v4(static_cast<std::uint32_t>(random_() % addresses_));
      record.seq = random_() % 2 == 0 ? 0 : 1;
      record.bytes_from_pub = Count(random_() % 5 == 0 ? ~std::uint64_t{0} - 1 : random_() % 1'000'000);
      record.start_time -= std::chrono::milliseconds(random_() % 200'000);
      ordinals.push_back(next_++);
      const auto time = record.end_time.time_since_epoch();
      Sums& hour = expected[{time / std::chrono::hours(1), SumsKey::of(record.pub_ip)}];
      hour.sessions += record.seq == 0 ? 1U : 0U;
      hour.records += 1;
      hour.unknown += 1;  // pkts_from_pub
      hour.bytes_from_vpc += 100;
      hour.pkts_from_vpc += 1;
      hour.bytes_from_pub = sum_of(hour.bytes_from_pub, record.bytes_from_pub.value());
      records.push_back(record);
    }
    std::string bytes;
    FrameEncoder(Effort::kFast).encode(records, ordinals, false, bytes);
    FrameColumns columns;
    if (!columns.open(std::as_bytes(std::span(bytes)))) throw std::runtime_error("no frame");
    summer.add(columns);
  }

  SegmentSummer summer;
  Entries expected;

 private:
  std::mt19937_64 random_{7};
  std::uint32_t addresses_;
  Ordinal next_ = 0;
};

TEST_CASE("sums of many records are what a slow count gives, in parts of a file as well", "[ledger][sums]") {
  Summed summed(20'000, 64 * 16'000);
  for (int frame = 0; frame < 64; ++frame) summed.frame(16'000);
  const TwoSegments ledger;
  write_file(ledger.sums_path(0), summed.summer.finish(ledger.mark()));
  const auto sums = ledger.sums();
  REQUIRE(sums);
  CHECK(summed.expected.size() > 5 * kMaxFrameRecords);
  CHECK(entries_of(*sums, SumsKind::kHoursByPubIp) == summed.expected);
}

TEST_CASE("a kind with too many different keys is left out", "[ledger][sums]") {
  Summed summed(1'000'000, 4 * 10'000);
  for (int frame = 0; frame < 4; ++frame) summed.frame(10'000);
  const TwoSegments ledger;
  write_file(ledger.sums_path(0), summed.summer.finish(ledger.mark()));
  const auto sums = ledger.sums();
  REQUIRE(sums);
  CHECK_FALSE(sums->has(SumsKind::kHoursByPubIp));
  CHECK(sums->has(SumsKind::kHoursByPriIp));
}

TEST_CASE("a record over more than a month leaves the minutes out", "[ledger][sums]") {
  SegmentSummer summer(100);
  std::vector<SessionRecord> records;
  std::vector<Ordinal> ordinals;
  for (std::uint32_t i = 0; i < 100; ++i) {
    records.push_back(numbered_record(i));
    ordinals.push_back(i);
  }
  records[50].start_time -= std::chrono::hours(24 * 33);
  std::string bytes;
  FrameEncoder(Effort::kFast).encode(records, ordinals, false, bytes);
  FrameColumns columns;
  REQUIRE(columns.open(std::as_bytes(std::span(bytes))));
  summer.add(columns);
  const TwoSegments ledger;
  write_file(ledger.sums_path(0), summer.finish(ledger.mark()));
  const auto sums = ledger.sums();
  REQUIRE(sums);
  CHECK_FALSE(sums->has(SumsKind::kMinutes));
  CHECK(sums->has(SumsKind::kMinutesAtEnd));
}

}  // namespace
}  // namespace natsession::testing
