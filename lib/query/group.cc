#include "query/group.h"

#include "record/text_writer.h"

namespace natsession {
namespace {

// In the order of SumField.
constexpr std::array<std::string_view, 8> kSums{"bytes_from_pub", "pkts_from_pub", "bytes_from_vpc",
                                                "pkts_from_vpc",  "bytes",         "pkts",
                                                "sessions",       "records"};

std::string hex_text(std::uint64_t value) {
  std::array<char, kHex64Length> text;
  return {text.data(), write_hex64(text.data(), value)};
}

}  // namespace

std::string_view to_string(SumField sum) {
  return kSums[static_cast<std::size_t>(sum)];
}

Result<SumField> parse_sum_field(std::string_view name) {
  std::string message = "there is no sum '" + std::string(name) + "'; there are";
  for (std::size_t i = 0; i < kSums.size(); ++i) {
    if (kSums[i] == name) return static_cast<SumField>(i);
    message += " " + std::string(kSums[i]);
  }
  return Error{ErrorKind::kUsage, std::move(message)};
}

std::uint64_t Sums::of(SumField field) const {
  if (field == SumField::kSessions) return sessions;
  if (field == SumField::kRecords) return records;
  std::uint64_t total = 0;
  for (const CounterSum& counter : kCounterSums) {
    if (counter.own == field || counter.both == field) total = sum_of(total, this->*counter.sum);
  }
  return total;
}

void Sums::add(const Sums& other) {
  for (const CounterSum& counter : kCounterSums) {
    this->*counter.sum = sum_of(this->*counter.sum, other.*counter.sum);
  }
  sessions += other.sessions;
  records += other.records;
  unknown += other.unknown;
}

std::string to_text(Field field, const GroupValue& value) {
  if (const auto* address = std::get_if<IpAddress>(&value)) return address->to_string();
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const auto* number = std::get_if<std::uint64_t>(&value);
  if (number == nullptr) return "-";
  const FieldSpec& spec = spec_of(field);
  if (spec.word != nullptr) return std::string(spec.word(*number));
  return spec.kind == FieldKind::kId ? hex_text(*number) : std::to_string(*number);
}

}  // namespace natsession
