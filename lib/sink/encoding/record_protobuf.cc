#include "sink/encoding/record_protobuf.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

#include "record/fields.h"
#include "sink/encoding/protobuf.h"

namespace natsession {
namespace {

// The number of each field, which never changes, nor is ever given to another.
constexpr unsigned number_of_field(Field field) {
  switch (field) {
    case Field::kInstance:
      return 1;
    case Field::kVpcId:
      return 2;
    case Field::kProtocol:
      return 3;
    case Field::kPriIp:
      return 4;
    case Field::kPriPort:
      return 5;
    case Field::kPubIp:
      return 6;
    case Field::kPubPort:
      return 7;
    case Field::kNatIp:
      return 8;
    case Field::kNatPort:
      return 9;
    case Field::kBytesFromPub:
      return 10;
    case Field::kPktsFromPub:
      return 11;
    case Field::kBytesFromVpc:
      return 12;
    case Field::kPktsFromVpc:
      return 13;
    case Field::kStartTime:
      return 14;
    case Field::kEndTime:
      return 15;
    case Field::kEvent:
      return 16;
    case Field::kSessionId:
      return 17;
    case Field::kSeq:
      return 18;
    case Field::kSessionStart:
      return 19;
    case Field::kTcpState:
      return 20;
    case Field::kReason:
      return 21;
    case Field::kOrigDstIp:
      return 22;
    case Field::kOrigDstPort:
      return 23;
    case Field::kZone:
      return 24;
    case Field::kMark:
      return 25;
    case Field::kNetns:
      return 26;
    case Field::kEventsLost:
      return 27;
    case Field::kLogStatus:
      return 28;
    case Field::kInterface:
    case Field::kDirection:
    case Field::kAction:
    case Field::kTcpFlags:
      break;  // of flow logs: in no message
  }
  return 0;
}

enum class Wire : unsigned { kVarint = 0, kFixed64 = 1, kBytes = 2 };

template <Field kField>
char* put_tag(char* out, Wire wire) {
  static_assert(number_of_field(kField) != 0);
  return write_varint(out, number_of_field(kField) << 3 | static_cast<unsigned>(wire));
}

template <Field kField>
char* put_bytes(char* out, const void* bytes, std::size_t size) {
  out = write_varint(put_tag<kField>(out, Wire::kBytes), size);
  std::memcpy(out, bytes, size);
  return out + size;
}

// A field that has presence, with its value even if that is 0.
template <Field kField>
char* put_present(char* out, std::uint64_t value) {
  return write_varint(put_tag<kField>(out, Wire::kVarint), value);
}

// One without: 0 is what a reader has where there is nothing.
template <Field kField>
char* put_number(char* out, std::uint64_t value) {
  return value == 0 ? out : put_present<kField>(out, value);
}

template <Field kField, typename Value>
char* put_value(char* out, const Value& value) {
  if constexpr (std::is_same_v<Value, std::string_view>) {
    return value.empty() ? out : put_bytes<kField>(out, value.data(), value.size());
  } else if constexpr (std::is_same_v<Value, IpAddress>) {
    const auto& bytes = value.bytes();
    const std::size_t skip = value.is_v4() ? 12 : 0;
    return put_bytes<kField>(out, bytes.data() + skip, bytes.size() - skip);
  } else if constexpr (std::is_same_v<Value, UnixMs>) {
    return put_present<kField>(out, static_cast<std::uint64_t>(value.time_since_epoch().count()));
  } else if constexpr (std::is_same_v<Value, SessionId>) {
    out = put_tag<kField>(out, Wire::kFixed64);
    for (unsigned shift = 0; shift < 64; shift += 8) *out++ = static_cast<char>(value.value >> shift);
    return out;
  } else if constexpr (std::is_same_v<Value, Count>) {
    return value.known() ? put_present<kField>(out, value.value()) : out;
  } else if constexpr (std::is_same_v<Value, RecordEvent>) {
    return put_number<kField>(out, static_cast<std::uint64_t>(value) + 1);  // 0 is no event
  } else if constexpr (std::is_enum_v<Value>) {
    return put_number<kField>(out, static_cast<std::uint64_t>(value));
  } else if constexpr (std::is_unsigned_v<Value>) {
    return put_number<kField>(out, value);
  } else {
    return value ? put_value<kField>(out, *value) : out;
  }
}

template <bool kGapRecord>
char* put_fields(const SessionRecord& record, char* out) {
  visit_fields([&]<Field kField>() {
    if constexpr (!kGapRecord || kSpec<kField>.in_gap)
      out = put_value<kField>(out, field_value<kField>(record));
  });
  return out;
}

}  // namespace

void append_protobuf(const SessionRecord& record, std::string& out) {
  const std::size_t before = out.size();
  // Tag and length or value of each field; addresses; texts.
  constexpr std::size_t kWithoutText = kFieldCount * 2 * kMaxVarint;
  out.resize(before + kWithoutText + record.origin->instance.size() + record.origin->netns.size() +
             record.vpc_id.size());
  char* const begin = out.data() + before;
  char* const end =
      record.event == RecordEvent::kGap ? put_fields<true>(record, begin) : put_fields<false>(record, begin);
  out.resize(before + static_cast<std::size_t>(end - begin));
}

}  // namespace natsession
