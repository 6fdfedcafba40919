#include <filesystem>
#include <set>

#include <catch2/catch.hpp>

#include "ledger/bytes.h"
#include "ledger/crc32c.h"
#include "ledger/frame_layout.h"
#include "query/query_dice.h"
#include "query/query_fixture.h"
#include "query/sql_fixture.h"
#include "query/top.h"
#include "query/trace.h"

namespace natsession::testing {
namespace {

bool explains(const ScanReport& report, const SessionRecord& missing) {
  return std::any_of(report.troubles.begin(), report.troubles.end(),
                     [&](const Trouble& trouble) { return trouble.time.contains(missing.end_time); });
}

// What is found is true, and what is not found is told.
void check_honest(const SegmentList& view, const std::vector<SessionRecord>& all, const Query& query) {
  Scan scan(view, query, with_threads(2));
  const RecordNames found = scanned_names(scan);
  const RecordNames expected = expected_names(all, query);
  REQUIRE(std::includes(expected.begin(), expected.end(), found.begin(), found.end()));
  REQUIRE(scan.error());
  for (const SessionRecord& record : all) {
    if (!passes(record, query) || found.count(name_of_record(record)) > 0) continue;
    REQUIRE(explains(scan.report(), record));
  }
}

TEST_CASE("over damage no wrong record is found, and no missing one is passed over in silence",
          "[query][damage]") {
  TrafficDice dice(81);
  QueryLedger ledger;
  ledger.fill(dice.traffic(600, at_minute(0), at_minute(120), 5), 40, 4);
  ledger.writer.reset();
  QueryDice questions(82, dice, ledger.all);
  const auto files = ledger.segment_files();
  REQUIRE(files.size() > 3);
  for (int round = 0; round < rounds(200); ++round) {
    // Not the newest: what is damaged at its end may as well be a frame that is being written.
    const std::string& path = files[dice.pick(files.size() - 1)];
    const std::string before = read_file(path);
    std::string bytes = before;
    switch (dice.pick(4)) {
      case 0:
        bytes[dice.pick(bytes.size())] ^= static_cast<char>(1 + dice.pick(255));
        break;
      case 1: {
        const std::size_t at = dice.pick(bytes.size());
        const std::size_t count = std::min<std::size_t>(dice.pick(4000), bytes.size() - at);
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, '\0');
        break;
      }
      case 2:
        bytes.resize(dice.pick(bytes.size()));
        break;
      default:
        bytes.insert(dice.pick(bytes.size()), std::string(1 + dice.pick(300), 'x'));
    }
    write_file(path, bytes);
    CAPTURE(round, path);
    const SegmentList view = ledger.view();
    Query query;
    query.columns = Columns::all();
    query.gap_records = true;
    check_honest(view, ledger.all, query);
    check_honest(view, ledger.all, questions.roll());
    write_file(path, before);
  }
}

TEST_CASE("a segment that is not there is told", "[query][damage]") {
  TrafficDice dice(83);
  QueryLedger ledger;
  ledger.fill(dice.traffic(600, at_minute(0), at_minute(120)), 40, 4);
  const SegmentList before = ledger.view();
  const auto files = ledger.segment_files();
  std::filesystem::remove(files[2]);
  Query query;
  query.columns = Columns::all();
  check_honest(before, ledger.all, query);         // listed, and then deleted
  check_honest(ledger.view(), ledger.all, query);  // never seen
  Scan scan(before, query, with_threads(1));
  scanned_names(scan);
  REQUIRE(scan.report().troubles.size() == 1);
  CHECK(scan.report().troubles[0].kind == TroubleKind::kVanished);
}

TEST_CASE("a trace over damage is uncertain where damage is, and certain elsewhere", "[query][damage]") {
  TrafficDice dice(85);
  QueryLedger ledger;
  ledger.fill(dice.traffic(2000, at_minute(0), at_minute(600)), 50, 1000);
  ledger.prove(at_minute(0), at_minute(700));
  ledger.writer.reset();
  const std::string path = ledger.segment_files().at(0);
  std::string bytes = read_file(path);
  const std::size_t at = bytes.size() / 2;
  for (std::size_t i = 0; i < 3000; ++i) bytes[at + i] = static_cast<char>(dice.pick(256));
  write_file(path, bytes);

  const SegmentList view = ledger.view();
  Scan scan(view, Query(), with_threads(1));
  while (scan.next() != nullptr) {
  }
  REQUIRE(scan.report().trouble_count > 0);
  const Trouble& trouble = scan.report().troubles[0];
  REQUIRE(trouble.time.from);
  TraceQuestion question;
  question.nat_ip = ip("203.0.113.99");
  question.from = question.until = *trouble.time.from;
  const auto uncertain = trace(view, {question}, {}, with_threads(1));
  CHECK(uncertain->answers[0].verdict == TraceVerdict::kUncertain);
  CHECK_FALSE(uncertain->answers[0].troubles.empty());
  // What is damaged may tell of a session that was open and silent long before.
  question.from = question.until = at_minute(60);
  CHECK(trace(view, {question}, {}, with_threads(1))->answers[0].verdict == TraceVerdict::kUncertain);
  question.from = question.until = at_minute(590);
  CHECK(trace(view, {question}, {}, with_threads(1))->answers[0].verdict == TraceVerdict::kNoSession);
}

// Flips a bit in the rows of the frame that holds `ordinal`, behind its hosts and ports. False if there is
// none.
bool damage_rows(const std::string& path, Ordinal ordinal) {
  std::string bytes = read_file(path);
  const auto magic = std::string_view(kFrameMagic.data(), kFrameMagic.size());
  for (std::size_t frame = bytes.find(magic); frame != std::string::npos;
       frame = bytes.find(magic, frame + 1)) {
    const auto info = read_frame_header(std::as_bytes(std::span(bytes)).subspan(frame));
    if (!info || ordinal < info->first || ordinal > info->last) continue;
    bytes[frame + info->bytes - 1] ^= 4;
    write_file(path, bytes);
    return true;
  }
  return false;
}

TEST_CASE("what a damaged column hides is told, also where the question does not read it",
          "[query][damage]") {
  TrafficDice dice(87);
  QueryLedger ledger;
  ledger.with_flows = false;  // what is damaged is counted
  const auto records = dice.traffic(300, at_minute(0), at_minute(60));
  ledger.fill(records, 50, 1000);
  ledger.frame(dice.traffic(10, at_minute(600), at_minute(700)));
  ledger.writer.reset();
  const Ordinal ordinal = 120;
  REQUIRE(damage_rows(ledger.segment_files().at(0), ordinal));

  const SessionRecord& hidden = ledger.all[ordinal];
  TraceQuestion question;
  question.nat_ip = hidden.nat_ip;
  question.nat_port = hidden.nat_port;
  question.from = question.until = hidden.end_time;
  question.slack = std::chrono::milliseconds(0);
  const auto answer = trace(ledger.view(), {question}, {}, with_threads(1));
  REQUIRE(answer);
  REQUIRE_FALSE(answer->answers[0].troubles.empty());
  CHECK(answer->answers[0].troubles[0].kind == TroubleKind::kDamaged);
  CHECK(answer->answers[0].troubles[0].time.contains(hidden.end_time));
  CHECK(answer->report.trouble_count > 0);

  // A session that is known only by a record hours behind the time: the damage there concerns this question.
  SessionRecord silent = hidden;
  silent.nat_port = 39'999;
  silent.session_start = at_minute(65);
  silent.start_time = silent.end_time = at_minute(720);
  silent.event = RecordEvent::kEnd;
  ledger.open();
  ledger.frame(std::vector<SessionRecord>{silent});
  ledger.writer.reset();
  REQUIRE(damage_rows(ledger.segment_files().back(), ledger.all.size() - 1));
  question.nat_port = silent.nat_port;
  question.from = question.until = at_minute(100);
  const auto later = trace(ledger.view(), {question}, {}, with_threads(1));
  REQUIRE(later);
  CHECK(later->answers[0].verdict == TraceVerdict::kUncertain);
}

TEST_CASE("records of a frame whose ordinals are damaged have row ids of their own", "[query][damage]") {
  TrafficDice dice(88);
  QueryLedger ledger;
  ledger.with_flows = false;  // what is damaged is counted
  auto records = dice.traffic(400, at_minute(0), at_minute(60));
  for (std::size_t i = 0; i < records.size(); i += 7) records[i].start_time -= std::chrono::hours(1);
  ledger.frame(records);  // two frames, their ordinals between each other's
  ledger.writer.reset();
  REQUIRE(damage_rows(ledger.segment_files().at(0), 200));
  Scan scan(ledger.view(), Query(), with_threads(1));
  std::set<Ordinal> ids;
  std::size_t rows = 0;
  while (const ScanBatch* const batch = scan.next()) {
    rows += batch->size();
    for (std::size_t i = 0; i < batch->size(); ++i) ids.insert(batch->ordinal(i));
  }
  CHECK(rows == ledger.all.size());
  CHECK(ids.size() == rows);
}

TEST_CASE("files that are anything at all do no harm", "[query][damage]") {
  TrafficDice dice(86);
  QueryLedger ledger;
  ledger.fill(dice.traffic(100, at_minute(0), at_minute(60)), 50, 2);
  const std::string folder = ledger.settings.directory + "/segments/";
  write_file(folder + SegmentName{1'000'000, false}.text(), "");
  write_file(folder + SegmentName{2'000'000, true}.text(), "NS");
  std::string noise;
  for (int i = 0; i < 100'000; ++i) noise += static_cast<char>(dice.pick(256));
  write_file(folder + SegmentName{3'000'000, true}.text(), noise);
  write_file(folder + SegmentName{4'000'000, false}.text(), noise);
  write_file(folder + "README", noise);
  std::filesystem::create_symlink("/etc/passwd", folder + SegmentName{5'000'000, false}.text());
  std::filesystem::create_directory(folder + SegmentName{6'000'000, true}.text());
  const SegmentList view = ledger.view();
  Query query;
  query.columns = Columns::all();
  Scan scan(view, query, with_threads(2));
  CHECK(scanned_names(scan) == expected_names(ledger.all, query));
  CHECK(scan.report().trouble_count >= 5);
  TopQuestion question;
  question.by = {Field::kPriIp};
  CHECK(find_top(view, question, with_threads(2)));
}

// Ledgers of which a newer program wrote a part.

TEST_CASE("frames of a newer version are passed over and told, with their time", "[query][damage]") {
  TrafficDice dice(84);
  QueryLedger ledger;
  const auto records = dice.traffic(200, at_minute(0), at_minute(60));
  ledger.fill(records, 50, 1000);
  ledger.writer.reset();
  const std::string path = ledger.segment_files().at(0);
  std::string bytes = read_file(path);
  // The second frame's version becomes 9, and its header's checksum is made good.
  const auto magic = std::string_view(kFrameMagic.data(), kFrameMagic.size());
  const std::size_t frame = bytes.find(magic, bytes.find(magic) + 1);
  REQUIRE(frame != std::string::npos);
  bytes[frame + header_at::kVersion] = 9;
  const auto header = std::as_bytes(std::span(bytes).subspan(frame, header_at::kHeaderChecksum));
  store_little_endian(crc32c(header), bytes.data() + frame + header_at::kHeaderChecksum);
  write_file(path, bytes);

  Query query;
  query.columns = Columns::all();
  const SegmentList view = ledger.view();
  Scan scan(view, query, with_threads(1));
  scanned_names(scan);
  REQUIRE(scan.report().trouble_count == 1);
  CHECK(scan.report().troubles[0].kind == TroubleKind::kNewer);
  CHECK(scan.report().troubles[0].why.find("version 9") != std::string::npos);
  CHECK(scan.report().troubles[0].records > 0);
}

TEST_CASE("segments of a newer version are passed over and told, by every kind of question",
          "[query][damage]") {
  // As segment_format.cc has it.
  constexpr std::size_t kVersionAt = 8;
  constexpr std::size_t kChecksumAt = kSegmentHeaderBytes - 4;
  for (const bool sealed : {false, true}) {
    TrafficDice dice(89);
    QueryLedger ledger;
    ledger.with_flows = false;  // what is damaged is counted
    ledger.fill(dice.traffic(200, at_minute(0), at_minute(60)), 50, 1000);
    const std::size_t known = ledger.all.size();
    ledger.next_segment();
    ledger.fill(dice.traffic(200, at_minute(60), at_minute(120)), 50, 1000);
    ledger.next_segment();
    if (sealed) ledger.seal();
    ledger.writer.reset();
    const std::string path = ledger.segment_files().at(1);
    REQUIRE(path.ends_with(".sealed") == sealed);
    std::string bytes = read_file(path);
    bytes[kVersionAt] = 2;
    const auto header = std::as_bytes(std::span(bytes).first(kChecksumAt));
    store_little_endian(crc32c(header), bytes.data() + kChecksumAt);
    write_file(path, bytes);

    const SegmentList view = ledger.view();
    CHECK(view.span().records <= known);
    Query query;
    query.columns = Columns::all();
    Scan scan(view, query, with_threads(2));
    CHECK(scanned_names(scan).size() == known);
    REQUIRE(scan.report().trouble_count == 1);
    CHECK(scan.report().troubles[0].kind == TroubleKind::kNewer);
    CHECK(scan.report().troubles[0].why.find("newer") != std::string::npos);

    TopQuestion top;
    top.by = {Field::kPriIp};
    const auto hosts = find_top(view, top, with_threads(2));
    REQUIRE(hosts);
    CHECK(hosts->report.trouble_count == 1);
    const auto session = open_session(ledger.view());
    const SqlAnswer count = ask(*session, "SELECT count(*) FROM log");
    CHECK(count.rows == SqlRows{{std::to_string(known)}});
    CHECK(count.report.trouble_count == 1);
  }
}

}  // namespace
}  // namespace natsession::testing
