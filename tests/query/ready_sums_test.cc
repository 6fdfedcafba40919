#include "query/ready_sums.h"

#include <filesystem>

#include <catch2/catch.hpp>

#include "ledger/crc32c.h"
#include "query/query_dice.h"
#include "query/timeline.h"
#include "query/top.h"

namespace natsession::testing {
namespace {

ScanControl from_records(unsigned threads) {
  ScanControl control = with_threads(threads);
  control.from_records = true;
  return control;
}

// Three hours of traffic, sealed but for the last segment, with all that makes sums hard: records over many
// minutes and over the ends of segments and hours, gaps, counters that are not known.
struct SummedLedger : QueryLedger {
  SummedLedger() {
    fill(dice.traffic(8000, at_minute(-10), at_minute(170), 12), 125, 5);
    seal();
  }
  TrafficDice dice{51};
};

void check_same(const ScanReport& ready, const ScanReport& records) {
  CHECK(ready.gaps == records.gaps);
  CHECK(ready.gap_count == records.gap_count);
  CHECK(ready.troubles == records.troubles);
  CHECK(ready.missing == records.missing);
  CHECK(ready.covered_until == records.covered_until);
  CHECK(ready.complete() == records.complete());
}

// How many frames both read, for whether sums were asked at all.
struct FramesRead {
  std::uint64_t ready = 0;
  std::uint64_t records = 0;
};

void compare(const SegmentList& view, const TopQuestion& question, FramesRead& frames) {
  const auto ready = find_top(view, question, with_threads(2));
  const auto records = find_top(view, question, from_records(2));
  REQUIRE(ready);
  REQUIRE(records);
  CHECK(ready->total == records->total);
  CHECK(ready->group_count == records->group_count);
  REQUIRE(ready->groups.size() == records->groups.size());
  for (std::size_t i = 0; i < ready->groups.size(); ++i) {
    REQUIRE(ready->groups[i].key == records->groups[i].key);
    REQUIRE(ready->groups[i].sums == records->groups[i].sums);
  }
  check_same(ready->report, records->report);
  frames.ready += ready->report.frames_read;
  frames.records += records->report.frames_read;
}

void compare(const SegmentList& view, const TimelineQuestion& question, FramesRead& frames) {
  const auto ready = find_timeline(view, question, with_threads(2));
  const auto records = find_timeline(view, question, from_records(2));
  REQUIRE(ready);
  REQUIRE(records);
  REQUIRE(ready->series.size() == records->series.size());
  for (std::size_t i = 0; i < ready->series.size(); ++i) {
    REQUIRE(ready->series[i].key == records->series[i].key);
    REQUIRE(ready->series[i].rest == records->series[i].rest);
    REQUIRE(ready->series[i].buckets == records->series[i].buckets);
    REQUIRE(ready->series[i].total == records->series[i].total);
  }
  check_same(ready->report, records->report);
  frames.ready += ready->report.frames_read;
  frames.records += records->report.frames_read;
}

// Random questions, of which sums can answer most: some to the millisecond, most to the minute or hour.
class ReadyDice {
 public:
  ReadyDice(SummedLedger& ledger, std::uint64_t seed)
      : dice_(seed), questions_(seed, ledger.dice, ledger.all) {}

  TopQuestion top() {
    TopQuestion question;
    const std::vector<std::vector<Field>> choices = {
        {Field::kPriIp}, {Field::kPubIp}, {Field::kNatIp}, {Field::kProtocol}, {}, {Field::kPubPort}};
    question.by = choices[dice_.pick(choices.size())];
    question.sum = static_cast<SumField>(dice_.pick(8));
    question.count = dice_.one_in(2) ? TopQuestion::kMaxCount : 5;
    if (!dice_.one_in(10)) question.query.end.from = time();
    if (!dice_.one_in(10)) question.query.end.until = time();
    if (question.query.end.from && question.query.end.until &&
        *question.query.end.from > *question.query.end.until)
      std::swap(question.query.end.from, question.query.end.until);
    add_tests(question.by, question.query.where);
    return question;
  }

  TimelineQuestion timeline() {
    using namespace std::chrono_literals;
    static constexpr std::array<std::chrono::milliseconds, 7> kBuckets{60s, 120s, 300s, 600s, 3600s, 7s, 90s};
    TimelineQuestion question;
    question.from = time();
    question.until = time();
    if (question.from > question.until) std::swap(question.from, question.until);
    if (question.from == question.until) question.until += 1ms;
    question.bucket = kBuckets[dice_.pick(kBuckets.size())];
    if (dice_.one_in(3)) question.by = dice_.one_in(4) ? Field::kPriIp : Field::kProtocol;
    question.series = 1 + dice_.pick(4);
    question.sum = static_cast<SumField>(dice_.pick(8));
    question.spread = dice_.one_in(2) ? Spread::kAtEnd : Spread::kOverSlice;
    add_tests(question.by ? std::vector<Field>{*question.by} : std::vector<Field>(), question.where);
    return question;
  }

 private:
  UnixMs time() {
    const auto minute = static_cast<std::int64_t>(dice_.pick(230)) - 30;
    if (dice_.one_in(2)) return at_minute(minute / 60 * 60);
    if (dice_.one_in(2)) return at_minute(minute);
    return at_minute(minute) + std::chrono::milliseconds(dice_.pick(60'000));
  }
  // Half of the tests are of the field that groups, so that sums can answer.
  void add_tests(const std::vector<Field>& by, std::vector<FieldTest>& where) {
    for (std::uint64_t tests = dice_.pick(3); tests > 0; --tests) {
      FieldTest test = questions_.roll_test();
      const Field wanted = by.empty() ? Field::kProtocol : by[0];
      for (int tries = 0; dice_.pick(4) != 0 && test.field != wanted && tries < 200; ++tries)
        test = questions_.roll_test();
      where.push_back(test);
    }
  }

  TrafficDice dice_;
  QueryDice questions_;
};

TEST_CASE("sums that stand ready answer as the records do", "[query][sums]") {
  SummedLedger ledger;
  REQUIRE(ledger.sums_files().size() >= 4);
  const auto what = GENERATE(0, 1, 2);
  if (what == 1) std::filesystem::remove(ledger.sums_files()[1]);  // one has none
  if (what == 2) {
    std::string bytes = read_file(ledger.sums_files()[2]);
    for (std::size_t at = 100; at < bytes.size(); at += 50) bytes[at] = static_cast<char>(bytes[at] ^ 8);
    write_file(ledger.sums_files()[2], bytes);
  }
  const SegmentList view = ledger.view();
  ReadyDice dice(ledger, 52 + static_cast<std::uint64_t>(what));
  FramesRead top;
  FramesRead timeline;
  for (int i = 0; i < rounds(200); ++i) {
    compare(view, dice.top(), top);
    compare(view, dice.timeline(), timeline);
  }
  CHECK(top.ready < top.records);
  CHECK(timeline.ready < timeline.records);
}

TEST_CASE("an answer from sums is in as many parts as there are groups for", "[query][sums]") {
  SummedLedger ledger;
  const SegmentList view = ledger.view();
  TopQuestion question;
  question.by = {Field::kPriIp};
  question.max_groups = 20;
  FramesRead frames;
  compare(view, question, frames);
  CHECK(find_top(view, question, with_threads(1))->passes > 1);
}

TEST_CASE("whole hours need no record of a segment that is sealed", "[query][sums]") {
  TrafficDice dice(53);
  QueryLedger ledger;
  ledger.fill(dice.traffic(4000, at_minute(0), at_minute(110)), 250, 1000);
  ledger.next_segment();
  ledger.seal();
  TopQuestion question;
  question.by = {Field::kPriIp};
  question.query = Query::ended_within(at_minute(0), at_minute(240) - std::chrono::milliseconds(1));
  const auto top = find_top(ledger.view(), question, with_threads(2));
  REQUIRE(top);
  CHECK(top->total.records > 1000);
  CHECK(top->report.frames_read == 0);
  TimelineQuestion hours;
  hours.from = at_minute(0);
  hours.until = at_minute(240);
  const auto timeline = find_timeline(ledger.view(), hours, with_threads(2));
  REQUIRE(timeline);
  CHECK(timeline->series[0].total.records > 1000);
  CHECK(timeline->report.frames_read == 0);
}

// Of a ledger with gap records, the frames that have one are read, and the gaps told.
TEST_CASE("gap records are told where sums answer", "[query][sums]") {
  TrafficDice dice(54);
  QueryLedger ledger;
  ledger.fill(dice.traffic(4000, at_minute(0), at_minute(110), 3), 250, 8);
  ledger.next_segment();
  ledger.seal();
  TopQuestion question;
  question.by = {Field::kNatIp};
  question.query = Query::ended_within(at_minute(0), at_minute(180) - std::chrono::milliseconds(1));
  const auto top = find_top(ledger.view(), question, with_threads(1));
  REQUIRE(top);
  CHECK(top->report.gap_count == 3);
  CHECK(top->report.frames_read > 0);
  CHECK(top->report.frames_read <= 3);
  CHECK_FALSE(top->report.complete());
}

TEST_CASE("where records of a segment are damaged they are asked, and the damage is told", "[query][sums]") {
  SummedLedger ledger;
  const std::string path = ledger.segment_files().at(1);
  REQUIRE(path.ends_with(".sealed"));
  FramesRead frames;
  TopQuestion question;
  question.by = {Field::kPriIp};
  SECTION("before it was sealed") {
    QueryLedger other;
    other.fill(ledger.dice.traffic(2000, at_minute(0), at_minute(110)), 250, 1000);
    other.next_segment();
    other.fill(ledger.dice.traffic(2000, at_minute(110), at_minute(170)), 250, 1000);
    other.next_segment();
    const std::string open = other.segment_files().at(0);
    std::string bytes = read_file(open);
    const std::size_t frame = bytes.find("NSFr", bytes.size() / 2);
    REQUIRE(frame != std::string::npos);
    bytes[frame] = '?';
    write_file(open, bytes);
    other.seal();
    REQUIRE(other.sums_files().size() == 2);
    compare(other.view(), question, frames);
    CHECK(find_top(other.view(), question, with_threads(1))->report.trouble_count > 0);
  }
  SECTION("and its trailer is lost") {
    std::string bytes = read_file(path);
    bytes.resize(bytes.size() - 5);
    write_file(path, bytes);
    compare(ledger.view(), question, frames);
    CHECK(find_top(ledger.view(), question, with_threads(1))->report.trouble_count > 0);
  }
}

TEST_CASE("sums of a newer version are passed over, with a note", "[query][sums]") {
  SummedLedger ledger;
  const auto files = ledger.sums_files();
  TopQuestion question;
  question.by = {Field::kPriIp};
  CHECK(find_top(ledger.view(), question, with_threads(1))->report.note.empty());
  for (const std::string& path : {files[0], files[2]}) {
    std::string bytes = read_file(path);
    bytes[8] = 3;  // the version
    const auto header = std::as_bytes(std::span(bytes).first(kSumsHeaderBytes - 4));
    const std::uint32_t checksum = crc32c(header);
    for (unsigned byte = 0; byte < 4; ++byte)
      bytes[kSumsHeaderBytes - 4 + byte] = static_cast<char>(checksum >> (8 * byte));
    write_file(path, bytes);
  }
  FramesRead frames;
  compare(ledger.view(), question, frames);
  const auto top = find_top(ledger.view(), question, with_threads(1));
  CHECK(top->report.note ==
        "the sums of 2 segments were written by a newer version, and their records read instead");
  CHECK(top->report.complete() == find_top(ledger.view(), question, from_records(1))->report.complete());
}

TEST_CASE("a session counts once, where its first record is", "[query][sums]") {
  TrafficDice dice(55);
  QueryLedger ledger;
  std::vector<SessionRecord> records = dice.session(at_minute(9));
  while (records.size() < 3) records = dice.session(at_minute(9));
  ledger.frame(records);
  TopQuestion question;
  question.by = {Field::kPriIp};
  const auto sessions = [&](UnixMs from, UnixMs until) {
    question.query = Query::ended_within(from, until);
    return find_top(ledger.view(), question, with_threads(1))->total.sessions;
  };
  CHECK(sessions(at_minute(0), at_minute(600)) == 1);
  CHECK(sessions(at_minute(0), records[0].end_time) == 1);
  CHECK(sessions(records[0].end_time + std::chrono::milliseconds(1), at_minute(600)) == 0);
}

}  // namespace
}  // namespace natsession::testing
