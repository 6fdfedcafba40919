// lib/ledger/FORMAT.md is what readers of a ledger rely on: its worked example is what the code writes, byte
// for byte. Its bytes were followed by hand, from the page's own text, when they were written down.
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "ledger/frame_fixture.h"
#include "ledger/frame_layout.h"

namespace natsession::testing {
namespace {

UnixMs at(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}

std::vector<SessionRecord> example_records() {
  static const Origin origin{"natgw-1", ""};
  SessionRecord first;
  first.origin = &origin;
  first.vpc_id = "vpc-office";
  first.protocol = 6;
  first.pri_ip = *IpAddress::parse("192.168.1.23");
  first.pri_port = 51'514;
  first.pub_ip = *IpAddress::parse("198.51.100.80");
  first.pub_port = 443;
  first.nat_ip = *IpAddress::parse("203.0.113.7");
  first.nat_port = 40'123;
  first.bytes_from_pub = Count(18'234);
  first.pkts_from_pub = Count(21);
  first.bytes_from_vpc = Count(2954);
  first.pkts_from_vpc = Count(17);
  first.start_time = at(1'795'263'600'000);
  first.end_time = at(1'795'263'662'108);
  first.session_start = at(1'795'263'297'310);
  first.event = RecordEvent::kEnd;
  first.reason = RecordReason::kDestroyed;
  first.seq = 1;
  first.tcp_state = TcpState::kTimeWait;

  SessionRecord second = first;
  second.protocol = 17;
  second.pri_port = second.nat_port = 40'001;
  second.pub_ip = *IpAddress::parse("192.0.2.53");
  second.pub_port = 53;
  second.bytes_from_pub = Count(151);
  second.pkts_from_pub = Count(1);
  second.bytes_from_vpc = Count(62);
  second.pkts_from_vpc = Count(1);
  second.start_time = at(1'795'263'631'950);
  second.session_start = second.start_time;
  second.end_time = at(1'795'263'662'120);
  second.seq = 0;
  second.tcp_state = TcpState::kNone;

  for (SessionRecord* record : {&first, &second}) record->session_id = derive_session_id(*record);
  return {first, second};
}

// The bytes of the page's example: on each line, what comes before its first word.
std::string example_bytes() {
  std::ifstream page(NATSESSION_LEDGER_FORMAT_PAGE);
  std::string bytes;
  bool within = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      within = line == "```frame";
      continue;
    }
    if (!within) continue;
    std::istringstream words(line);
    for (std::string word; words >> word && word.size() == 2 &&
                           word.find_first_not_of("0123456789abcdef") == std::string::npos;) {
      bytes.push_back(static_cast<char>(std::stoi(word, nullptr, 16)));
    }
  }
  return bytes;
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[static_cast<unsigned char>(byte) >> 4], kDigits[byte & 15], ' '};
  }
  return text;
}

}  // namespace

TEST_CASE("the worked example of FORMAT.md is what the encoder writes, byte for byte",
          "[ledger][frame][format]") {
  const std::string expected = example_bytes();
  REQUIRE(expected.size() > kFrameHeaderBytes);
  CHECK(hex(frame_of(example_records(), Effort::kSmall, 4711)) == hex(expected));
}

TEST_CASE("the worked example of FORMAT.md is read as the records that it gives", "[ledger][frame][format]") {
  RecordBlock block;
  REQUIRE(FrameDecoder().decode(bytes_of(example_bytes()), block));
  CHECK(same_records(block.records, example_records()));
  CHECK(block.ordinals == ordinals_from(4711, 2));
}

}  // namespace natsession::testing
