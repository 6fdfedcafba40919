#include <catch2/catch.hpp>

#include "record/encoder.h"
#include "record/fields.h"

namespace natsession {
namespace {

TEST_CASE("names of formats, time formats and field sets are read back as what they were written from",
          "[record][names]") {
  for (const auto format : {RecordFormat::kJson, RecordFormat::kCsv, RecordFormat::kLogfmt}) {
    REQUIRE(parse_record_format(to_string(format)));
    CHECK(*parse_record_format(to_string(format)) == format);
  }
  for (const auto format : {TimeFormat::kUnix, TimeFormat::kUnixMs, TimeFormat::kRfc3339}) {
    REQUIRE(parse_time_format(to_string(format)));
    CHECK(*parse_time_format(to_string(format)) == format);
  }
  for (const auto fields : {FieldSet::kAll, FieldSet::kCloud}) {
    REQUIRE(parse_field_set(to_string(fields)));
    CHECK(*parse_field_set(to_string(fields)) == fields);
  }
  CHECK(to_string(RecordFormat::kLogfmt) == "logfmt");
  CHECK(to_string(TimeFormat::kUnixMs) == "unix_ms");
  CHECK(to_string(FieldSet::kCloud) == "cloud");
}

TEST_CASE("a name that is none is refused, with those that would do", "[record][names]") {
  const auto format = parse_record_format("xml");
  REQUIRE_FALSE(format);
  CHECK(format.error().kind == ErrorKind::kUsage);
  CHECK(format.error().message == "'xml' is not a format: json, csv or logfmt");
  CHECK(parse_time_format("iso").error().message == "'iso' is not a time format: unix, unix_ms or rfc3339");
  CHECK(parse_field_set("").error().message == "'' is not a set of fields: all or cloud");
  CHECK_FALSE(parse_record_format("JSON"));
  CHECK_FALSE(parse_record_format("json "));
}

TEST_CASE("events, reasons and TCP states have the names of the specification and of nf_conntrack",
          "[record][names]") {
  CHECK(to_string(RecordEvent::kStart) == "start");
  CHECK(to_string(RecordEvent::kInterim) == "interim");
  CHECK(to_string(RecordEvent::kEnd) == "end");
  CHECK(to_string(RecordEvent::kGap) == "gap");

  CHECK(to_string(RecordReason::kNone).empty());
  CHECK(to_string(RecordReason::kDestroyed) == "destroyed");
  CHECK(to_string(RecordReason::kVanished) == "vanished");
  CHECK(to_string(RecordReason::kOverrun) == "overrun");
  CHECK(to_string(RecordReason::kTableGuard) == "table_guard");
  CHECK(to_string(RecordReason::kStopped) == "stopped");
  CHECK(to_string(RecordReason::kSinkStalled) == "sink_stalled");
  CHECK(to_string(RecordReason::kLedgerFull) == "ledger_full");
  CHECK(to_string(RecordReason::kDamaged) == "damaged");

  // Oracle: tcp_conntrack_names in net/netfilter/nf_conntrack_proto_tcp.c.
  CHECK(to_string(TcpState::kNone).empty());
  CHECK(to_string(TcpState::kSynSent) == "SYN_SENT");
  CHECK(to_string(TcpState::kSynRecv) == "SYN_RECV");
  CHECK(to_string(TcpState::kEstablished) == "ESTABLISHED");
  CHECK(to_string(TcpState::kFinWait) == "FIN_WAIT");
  CHECK(to_string(TcpState::kCloseWait) == "CLOSE_WAIT");
  CHECK(to_string(TcpState::kLastAck) == "LAST_ACK");
  CHECK(to_string(TcpState::kTimeWait) == "TIME_WAIT");
  CHECK(to_string(TcpState::kClose) == "CLOSE");
  CHECK(to_string(TcpState::kSynSent2) == "SYN_SENT2");
}

TEST_CASE("no word is longer than the room that is kept for it", "[record][names]") {
  for (int value = 0; value < 256; ++value) {
    CHECK(to_string(static_cast<RecordEvent>(value)).size() <= kMaxWordLength);
    CHECK(to_string(static_cast<RecordReason>(value)).size() <= kMaxWordLength);
    CHECK(to_string(static_cast<TcpState>(value)).size() <= kMaxWordLength);
  }
  CHECK(kGapLogStatus.size() <= kMaxWordLength);
}

}  // namespace
}  // namespace natsession
