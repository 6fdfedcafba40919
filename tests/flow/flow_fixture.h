// Records as trackers make them for flow logs.
#pragma once

#include <string_view>

#include "record/session_record.h"
#include "support/session_between.h"

namespace natsession::testing {

inline const Origin& flow_origin() {
  static const Origin origin{"gw-1", ""};
  return origin;
}

inline UnixMs at_unix(std::int64_t second) {
  return UnixMs(std::chrono::seconds(second));
}

// The session of nat-session-log.txt: 172.16.20.21 asks a server by way of 172.16.10.13:48155; 20 packets
// out, 18 back; from 14:50 to 15:00 of 2026-11-21.
inline SessionRecord translated() {
  SessionRecord record;
  record.origin = &flow_origin();
  record.vpc_id = "vpc-blue";
  record.protocol = 6;
  record.pri_ip = ip("172.16.20.21");
  record.pri_port = 51514;
  record.pub_ip = ip("106.11.12.203");
  record.pub_port = 12180;
  record.nat_ip = ip("172.16.10.13");
  record.nat_port = 48155;
  record.pkts_from_vpc = Count(20);
  record.bytes_from_vpc = Count(2000);
  record.pkts_from_pub = Count(18);
  record.bytes_from_pub = Count(9000);
  record.start_time = at_unix(1'795'272'600);
  record.end_time = at_unix(1'795'273'200);
  record.event = RecordEvent::kInterim;
  record.tcp_state = TcpState::kEstablished;
  record.tcp_flags = tcp_flag::kSyn | tcp_flag::kAck;
  record.iif = "eth1";
  record.oif = "eth0";
  record.session_id = 0x1122334455667788;
  return record;
}

// The same without translation, as a flow log's own record.
inline SessionRecord routed(std::uint32_t window = 600) {
  SessionRecord record = translated();
  record.nat_ip = IpAddress();
  record.nat_port = record.pri_port;
  record.flow = window;
  return record;
}

inline SessionRecord refused(std::string_view iif, std::uint64_t packets, std::uint32_t window = 600) {
  SessionRecord record = routed(window);
  record.flow_kind = FlowKind::kRefused;
  record.event = RecordEvent::kEnd;
  record.pkts_from_vpc = Count(packets);
  record.bytes_from_vpc = Count(packets * 60);
  record.pkts_from_pub = record.bytes_from_pub = Count(0);
  record.iif = iif;
  record.oif = {};
  return record;
}

}  // namespace natsession::testing
