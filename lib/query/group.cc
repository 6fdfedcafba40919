#include "query/group.h"

#include <array>
#include <limits>

#include "record/text_writer.h"

namespace natsession {
namespace {

struct SumName {
  std::string_view name;
  SumField sum;
};
constexpr std::array<SumName, 8> kSums{{{"bytes_from_pub", SumField::kBytesFromPub},
                                        {"pkts_from_pub", SumField::kPktsFromPub},
                                        {"bytes_from_vpc", SumField::kBytesFromVpc},
                                        {"pkts_from_vpc", SumField::kPktsFromVpc},
                                        {"bytes", SumField::kBytes},
                                        {"pkts", SumField::kPkts},
                                        {"sessions", SumField::kSessions},
                                        {"records", SumField::kRecords}}};

std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum < a ? std::numeric_limits<std::uint64_t>::max() : sum;
}

std::string hex_text(std::uint64_t value) {
  std::array<char, kHex64Length> text;
  return {text.data(), write_hex64(text.data(), value)};
}

}  // namespace

std::string_view to_string(SumField sum) {
  return kSums[static_cast<std::size_t>(sum)].name;
}

Result<SumField> parse_sum_field(std::string_view name) {
  std::string message = "there is no sum '" + std::string(name) + "'; there are";
  for (const SumName& known : kSums) {
    if (known.name == name) return known.sum;
    message += " " + std::string(known.name);
  }
  return Error{ErrorKind::kUsage, std::move(message)};
}

std::uint64_t Sums::of(SumField field) const {
  switch (field) {
    case SumField::kBytesFromPub:
      return bytes_from_pub;
    case SumField::kPktsFromPub:
      return pkts_from_pub;
    case SumField::kBytesFromVpc:
      return bytes_from_vpc;
    case SumField::kPktsFromVpc:
      return pkts_from_vpc;
    case SumField::kBytes:
      return sum_of(bytes_from_pub, bytes_from_vpc);
    case SumField::kPkts:
      return sum_of(pkts_from_pub, pkts_from_vpc);
    case SumField::kSessions:
      return sessions;
    case SumField::kRecords:
      break;
  }
  return records;
}

void Sums::add(const Sums& other) {
  bytes_from_pub = sum_of(bytes_from_pub, other.bytes_from_pub);
  pkts_from_pub = sum_of(pkts_from_pub, other.pkts_from_pub);
  bytes_from_vpc = sum_of(bytes_from_vpc, other.bytes_from_vpc);
  pkts_from_vpc = sum_of(pkts_from_vpc, other.pkts_from_vpc);
  sessions += other.sessions;
  records += other.records;
  unknown += other.unknown;
}

std::string to_text(Field field, const GroupValue& value) {
  if (const auto* address = std::get_if<IpAddress>(&value)) return address->to_string();
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const auto* number = std::get_if<std::uint64_t>(&value);
  if (number == nullptr) return "-";
  switch (field) {
    case Field::kEvent:
      return std::string(to_string(static_cast<RecordEvent>(*number)));
    case Field::kTcpState:
      return std::string(to_string(static_cast<TcpState>(*number)));
    case Field::kReason:
      return std::string(to_string(static_cast<RecordReason>(*number)));
    case Field::kSessionId:
      return hex_text(*number);
    default:
      return std::to_string(*number);
  }
}

}  // namespace natsession
