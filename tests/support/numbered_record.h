// Records that a test can tell apart: number 0, 1, 2 … stands in seq, and in the times as a second of 1970.
#pragma once

#include <string>

#include "record/session_record.h"

namespace natsession::testing {

inline const Origin& test_origin() {
  static const Origin origin{"nat-1", ""};
  return origin;
}

inline UnixMs at_second(std::int64_t second) {
  return UnixMs(std::chrono::seconds(second));
}

inline SessionRecord numbered_record(std::uint32_t number, const Origin& origin = test_origin()) {
  SessionRecord record;
  record.origin = &origin;
  record.protocol = 17;
  record.pri_ip = IpAddress::from_v4(0x0200000a);  // 10.0.0.2
  record.pub_ip = IpAddress::from_v4(0x076433c6);  // 198.51.100.7
  record.nat_ip = IpAddress::from_v4(0x017100cb);  // 203.0.113.1
  record.pri_port = 40000;
  record.pub_port = 53;
  record.nat_port = 50000;
  record.bytes_from_vpc = Count(100);
  record.pkts_from_vpc = Count(1);
  record.start_time = at_second(number);
  record.end_time = at_second(number + 1);
  record.session_id = 0x1122334455667788;
  record.seq = number;
  record.event = RecordEvent::kEnd;
  record.reason = RecordReason::kDestroyed;
  return record;
}

}  // namespace natsession::testing
