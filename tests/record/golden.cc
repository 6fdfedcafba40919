#include "record/golden.h"

#include <stdexcept>

namespace natsession::testing {
namespace {

const Origin kOrigin{"natgw-1", "edge"};

SessionRecord from_office() {
  SessionRecord record;
  record.origin = &kOrigin;
  record.vpc_id = "vpc-office";
  return record;
}

}  // namespace

IpAddress address(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  if (!parsed) throw std::invalid_argument(parsed.error().message);
  return *parsed;
}

SessionRecord golden_tcp() {
  SessionRecord record = from_office();
  record.protocol = 6;
  record.pri_ip = address("192.168.1.23");
  record.pri_port = 51514;
  record.pub_ip = address("198.51.100.80");
  record.pub_port = 443;
  record.nat_ip = address("203.0.113.7");
  record.nat_port = 40123;
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
  SessionRecord record = from_office();
  record.vpc_id = "";
  record.protocol = 1;
  record.pri_ip = address("10.0.0.9");
  record.pri_port = 4711;
  record.pub_ip = address("192.0.2.33");
  record.pub_port = 8 * 256;  // echo request, code 0
  record.nat_ip = address("203.0.113.7");
  record.nat_port = 0;
  record.has_orig_dst = true;
  record.orig_dst_ip = address("192.0.2.1");
  record.orig_dst_port = 8 * 256;
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
  SessionRecord record = from_office();
  record.protocol = 17;
  record.pri_ip = address("2001:db8:1::23");
  record.pri_port = 5353;
  record.pub_ip = address("2001:db8:ffff::35");
  record.pub_port = 53;
  record.nat_ip = address("2001:db8:2::7");
  record.nat_port = 61000;
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
