#include "sink/encoding/record_protobuf.h"

#include <cctype>
#include <map>

#include <catch2/catch.hpp>

#include "record/fields.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace natsession::testing;

namespace {

std::string hex(const std::string& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string protobuf_of(const SessionRecord& record) {
  std::string out = "x";  // what is there stays
  append_protobuf(record, out);
  CHECK(out.front() == 'x');
  return out.substr(1);
}

SessionRecord full_record() {
  static const Origin origin{"nat-\xc3\xa9", "blue"};
  SessionRecord record = numbered_record(1'795'271'662, origin);
  record.vpc_id = "vpc-1";
  record.protocol = 6;
  record.pri_ip = *IpAddress::parse("2001:db8::1");
  record.bytes_from_pub = Count(0);
  record.session_start = at_second(-1);
  record.tcp_state = TcpState::kSynSent2;
  record.has_orig_dst = true;
  record.orig_dst_ip = record.pub_ip;
  record.orig_dst_port = 443;
  record.zone = 0xffff;
  record.mark = 0xffffffff;
  return record;
}

// As the schema has them.
std::map<std::string, unsigned> numbers_in_schema() {
  const std::string schema = read_file(NATSESSION_PACKAGING "/kafka/session_record.proto");
  const std::string message = schema.substr(0, schema.find("enum Event"));
  std::map<std::string, unsigned> numbers;
  for (std::size_t at = message.find(" = "); at != std::string::npos; at = message.find(" = ", at + 1)) {
    const std::size_t begin = message.rfind(' ', at - 1) + 1;
    const std::string value = message.substr(at + 3, 3);
    if (std::isdigit(static_cast<unsigned char>(value.front())) != 0)
      numbers[message.substr(begin, at - begin)] = static_cast<unsigned>(std::stoul(value));
  }
  return numbers;
}

std::string in_capitals(std::string_view word) {
  std::string text(word);
  for (char& byte : text) byte = static_cast<char>(std::toupper(static_cast<unsigned char>(byte)));
  return text;
}

template <typename Word>
void check_words(const std::string& schema, int first) {
  for (int i = 0; i <= static_cast<int>(kLast<Word>); ++i) {
    const std::string_view word = to_string(static_cast<Word>(i));
    if (word.empty()) continue;
    CHECK_THAT(schema,
               Catch::Matchers::Contains(" " + in_capitals(word) + " = " + std::to_string(i + first) + ";"));
  }
}

}  // namespace

// Each was read back with protoc 3.21.12, --decode=natsession.SessionRecord, and has what is meant.
TEST_CASE("a record as protobuf has the bytes that protoc reads", "[sink][protobuf]") {
  CHECK(hex(protobuf_of(numbered_record(7))) ==
        "0a056e61742d31181122040a00000228c0b8023204c633640738354204cb00710148d08603606468"
        "0170d83678c03e80010389018877665544332211900107a80101");
  CHECK(hex(protobuf_of(full_record())) ==
        "0a066e61742dc3a912057670632d311806221020010db800000000000000000000000128c0b80232"
        "04c633640738354204cb00710148d0860350006064680170b0b39ef49f347898bb9ef49f34800103"
        "890188776655443322119001eed786d806980198f8ffffffffffffff01a00109a80101b20104c633"
        "6407b801bb03c001ffff03c801ffffffff0fd20104626c7565");
  SessionRecord gap = numbered_record(9);
  gap.event = RecordEvent::kGap;
  gap.reason = RecordReason::kOverrun;
  gap.start_time = kUnknownStart;
  gap.events_lost = Count(300);
  CHECK(hex(protobuf_of(gap)) == "0a056e61742d3178904e800104a80103d801ac02e20108534b495044415441");
}

TEST_CASE("the schema has the fields and words of the log, each with its number", "[sink][protobuf]") {
  const auto numbers = numbers_in_schema();
  CHECK(numbers.size() == kFieldCount);
  for (const FieldSpec& field : session_fields()) CHECK(numbers.contains(std::string(field.name)));
  const std::string schema = read_file(NATSESSION_PACKAGING "/kafka/session_record.proto");
  check_words<RecordEvent>(schema, 1);
  check_words<RecordReason>(schema, 0);
  check_words<TcpState>(schema, 0);
}
