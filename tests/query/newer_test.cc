// Ledgers of which a newer program wrote a part.
#include <catch2/catch.hpp>

#include "ledger/crc32c.h"
#include "ledger/frame_bytes.h"
#include "ledger/frame_layout.h"
#include "query/query_fixture.h"
#include "query/sql_fixture.h"
#include "query/top.h"

namespace natsession::testing {
namespace {

TEST_CASE("frames of a newer version are passed over and told, with their time", "[query][damage]") {
  TrafficDice dice(84);
  QueryLedger ledger;
  const auto records = dice.traffic(200, at_minute(0), at_minute(60));
  ledger.fill(records, 50, 1000);
  ledger.writer.reset();
  const std::string path = ledger.segment_files().at(0);
  std::string bytes = read_file(path);
  // The second frame's version becomes 2, and its header's checksum is made good.
  const auto magic = std::string_view(kFrameMagic.data(), kFrameMagic.size());
  const std::size_t frame = bytes.find(magic, bytes.find(magic) + 1);
  REQUIRE(frame != std::string::npos);
  bytes[frame + header_at::kVersion] = 2;
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
  CHECK(scan.report().troubles[0].why.find("version 2") != std::string::npos);
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
