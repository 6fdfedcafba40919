#include "record/golden.h"

namespace natsession::testing {
namespace {

const Origin kOrigin{"natgw-1", "edge"};

SessionRecord from_office(std::uint8_t protocol, const End& pri, const End& pub, const End& nat) {
  SessionRecord record = session_between(protocol, pri, pub, nat);
  record.origin = &kOrigin;
  record.vpc_id = "vpc-office";
  return record;
}

}  // namespace

SessionRecord golden_tcp() {
  SessionRecord record =
      from_office(6, {"192.168.1.23", 51514}, {"198.51.100.80", 443}, {"203.0.113.7", 40123});
  record.bytes_from_pub = Count(18234);
  record.pkts_from_pub = Count(21);
  record.bytes_from_vpc = Count(2954);
  record.pkts_from_vpc = Count(17);
  record.session_start = at_ms(1'795'263'297'310);
  record.start_time = at_ms(1'795'263'600'000);
  record.end_time = at_ms(1'795'263'662'108);
  record.event = RecordEvent::kEnd;
  record.reason = RecordReason::kDestroyed;
  record.tcp_state = TcpState::kTimeWait;
  record.seq = 1;
  record.session_id = derive_session_id(record);
  return record;
}

SessionRecord golden_icmp() {
  const std::uint16_t echo_request = 8 * 256;  // code 0
  SessionRecord record = from_office(1, {"10.0.0.9", 4711}, {"192.0.2.33", echo_request}, {"203.0.113.7", 0});
  record.vpc_id = "";
  record.has_orig_dst = true;
  record.orig_dst_ip = ip("192.0.2.1");
  record.orig_dst_port = echo_request;
  record.start_time = at_ms(1'795'263'662'000);
  record.end_time = at_ms(1'795'263'662'000);
  record.event = RecordEvent::kEnd;
  record.reason = RecordReason::kVanished;
  record.zone = 7;
  record.mark = 0xffff'ffff;
  record.session_id = 0xab;
  return record;
}

SessionRecord golden_ipv6() {
  SessionRecord record =
      from_office(17, {"2001:db8:1::23", 5353}, {"2001:db8:ffff::35", 53}, {"2001:db8:2::7", 61000});
  record.bytes_from_pub = Count(0);
  record.pkts_from_pub = Count(0);
  record.bytes_from_vpc = Count(18'446'744'073'709'551'614U);
  record.pkts_from_vpc = Count(1);
  record.session_start = at_ms(-1);
  record.start_time = at_ms(-1);
  record.end_time = at_ms(0);
  record.event = RecordEvent::kInterim;
  record.session_id = 0x0123'4567'89ab'cdef;
  return record;
}

SessionRecord golden_gap() {
  SessionRecord record;
  record.origin = &kOrigin;
  record.event = RecordEvent::kGap;
  record.reason = RecordReason::kOverrun;
  record.start_time = at_ms(1'795'263'700'000);
  record.end_time = at_ms(1'795'263'701'250);
  record.events_lost = Count(1532);
  return record;
}

std::string encode(const SessionRecord& record, const EncoderOptions& options) {
  std::string line;
  make_encoder(options)->append(record, line);
  return line;
}

}  // namespace natsession::testing
