// Sends records of NAT64 sessions to a sink, as no Linux kernel translates by itself, and prints them as
// lines of JSON: for what real collectors make of them. Usage: nat64_records URL SESSIONS
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/time.h"
#include "record/encoder.h"
#include "sink/registry.h"

namespace {

using namespace natsession;

IpAddress address(const char* text) {
  return *IpAddress::parse(text);
}

// A start, a window and an end of each, over TCP, UDP and ICMPv6.
std::vector<SessionRecord> make_records(unsigned sessions) {
  static const Origin origin{"nat64-1", ""};
  std::vector<SessionRecord> records;
  for (unsigned number = 0; number < sessions; ++number) {
    SessionRecord record;
    record.origin = &origin;
    constexpr std::uint8_t kProtocols[] = {6, 17, 58};
    record.protocol = kProtocols[number % 3];
    const bool icmp = record.protocol == 58;
    record.pri_ip = address("2001:db8:64::2");
    record.nat_ip = address("203.0.113.7");
    record.pub_ip = address("198.51.100.9");
    record.orig_dst_ip = address("64:ff9b::c633:6409");
    record.has_orig_dst = true;
    record.vpc_id = "blue";
    record.pri_port = static_cast<std::uint16_t>(20000 + number);
    record.nat_port = static_cast<std::uint16_t>(40000 + number);
    record.pub_port = record.orig_dst_port = icmp ? 128 * 256 : 443;
    record.session_id = 0x6400'0000U + number;
    record.start_time = UnixMs(std::chrono::milliseconds(1'795'263'600'000 + number));
    const auto add = [&](RecordEvent event, std::uint64_t count, int seconds) {
      record.event = event;
      record.end_time = record.start_time + std::chrono::seconds(seconds);
      record.bytes_from_vpc = count == 0 ? Count() : Count(100 * count + number);
      record.pkts_from_vpc = count == 0 ? Count() : Count(count);
      record.bytes_from_pub = count == 0 ? Count() : Count(1000 * count + number);
      record.pkts_from_pub = count == 0 ? Count() : Count(2 * count);
      records.push_back(record);
      ++record.seq;
    };
    add(RecordEvent::kStart, 0, 0);
    add(RecordEvent::kInterim, 3, 60);
    add(RecordEvent::kEnd, 5, 90);
  }
  return records;
}

int fail(const std::string& what) {
  std::fprintf(stderr, "nat64_records: %s\n", what.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fail("usage: nat64_records URL SESSIONS");
  const auto config = SinkConfig::parse(argv[1]);
  if (!config) return fail(config.error().message);
  const SystemClock clock;
  const auto sink = config->open({}, clock, nullptr);
  if (!sink) return fail(sink.error().message);
  const auto records = make_records(static_cast<unsigned>(std::atoi(argv[2])));
  const Answer answer = (*sink)->deliver(records);
  if (answer.kind != Answer::Kind::kDelivered) return fail(answer.why);
  if (auto flushed = (*sink)->flush(); !flushed) return fail(flushed.error().message);
  std::string lines;
  const auto encoder = make_encoder({});
  for (const SessionRecord& record : records) encoder->append(record, lines);
  std::fputs(lines.c_str(), stdout);
  return 0;
}
