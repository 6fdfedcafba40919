#include "query/query.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "net/protocol.h"

namespace natsession {
namespace {

Error usage(std::string message) {
  return Error{ErrorKind::kUsage, std::move(message)};
}

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

template <typename Number>
bool read_number(std::string_view text, Number& number, int base = 10) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, base);
  return !text.empty() && error == std::errc() && rest == end;
}

// The largest value that a number field can have.
std::uint64_t limit_of(Field field) {
  switch (field) {
    case Field::kProtocol:
      return 0xff;
    case Field::kPriPort:
    case Field::kPubPort:
    case Field::kNatPort:
    case Field::kOrigDstPort:
    case Field::kZone:
      return 0xffff;
    case Field::kSeq:
    case Field::kMark:
      return 0xffff'ffff;
    default:
      return std::numeric_limits<std::uint64_t>::max() - 1;
  }
}

// The words of an enumeration, by their values.
template <typename Enum>
std::vector<std::string_view> words_of(Enum last) {
  std::vector<std::string_view> words;
  for (unsigned value = 0; value <= static_cast<unsigned>(last); ++value) {
    words.push_back(to_string(static_cast<Enum>(value)));
  }
  return words;
}

std::vector<std::string_view> words_of_field(Field field) {
  if (field == Field::kEvent) return words_of(RecordEvent::kGap);
  if (field == Field::kTcpState) return words_of(TcpState::kSynSent2);
  return words_of(RecordReason::kDamaged);
}

Result<NumberRange> parse_range(Field field, std::string_view text) {
  if (field == Field::kProtocol) {
    const auto protocol = parse_protocol(text);
    if (protocol) return NumberRange{*protocol, *protocol};
  }
  NumberRange range;
  const std::size_t dash = text.find('-');
  const std::string_view second = dash == std::string_view::npos ? text : text.substr(dash + 1);
  if (!read_number(text.substr(0, dash), range.lowest) || !read_number(second, range.highest)) {
    return usage(quoted(text) + " is no number and no range such as 1024-65535");
  }
  if (range.lowest > range.highest || range.highest > limit_of(field)) {
    return usage(quoted(text) + " is out of range: 0 to " + std::to_string(limit_of(field)));
  }
  return range;
}

Result<void> add_value(std::string_view value, FieldTest& test) {
  switch (kind_of(test.field)) {
    case FieldKind::kText:
      test.texts.emplace_back(value);
      return {};
    case FieldKind::kAddress: {
      const auto prefix = Prefix::parse(value);
      if (!prefix) return prefix.error();
      test.prefixes.push_back(*prefix);
      return {};
    }
    case FieldKind::kNumber: {
      const auto range = parse_range(test.field, value);
      if (!range) return range.error();
      test.numbers.push_back(*range);
      return {};
    }
    case FieldKind::kWord: {
      const std::vector<std::string_view> words = words_of_field(test.field);
      const auto found = std::find(words.begin(), words.end(), value);
      if (value.empty() || found == words.end()) {
        std::string message = quoted(value) + " is none of:";
        for (const std::string_view word : words) {
          if (!word.empty()) message += " " + std::string(word);
        }
        return usage(std::move(message));
      }
      const auto number = static_cast<std::uint64_t>(found - words.begin());
      test.numbers.push_back({number, number});
      return {};
    }
    case FieldKind::kId: {
      std::uint64_t id = 0;
      if (value.size() > kHex64Length || !read_number(value, id, 16)) {
        return usage(quoted(value) + " is not up to 16 hexadecimal digits");
      }
      test.numbers.push_back({id, id});
      return {};
    }
    case FieldKind::kTime:
      break;
  }
  return usage(std::string(name_of(test.field)) + " is a time: choose it with a time range");
}

}  // namespace

FieldKind kind_of(Field field) {
  switch (field) {
    case Field::kInstance:
    case Field::kVpcId:
    case Field::kNetns:
    case Field::kLogStatus:
      return FieldKind::kText;
    case Field::kPriIp:
    case Field::kPubIp:
    case Field::kNatIp:
    case Field::kOrigDstIp:
      return FieldKind::kAddress;
    case Field::kEvent:
    case Field::kTcpState:
    case Field::kReason:
      return FieldKind::kWord;
    case Field::kStartTime:
    case Field::kEndTime:
    case Field::kSessionStart:
      return FieldKind::kTime;
    case Field::kSessionId:
      return FieldKind::kId;
    default:
      return FieldKind::kNumber;
  }
}

std::string_view name_of(Field field) {
  return kFields[static_cast<std::size_t>(field)].name;
}

Result<Field> parse_field(std::string_view name) {
  for (const FieldSpec& spec : kFields) {
    if (spec.name == name) return spec.field;
  }
  std::string message = "there is no field " + quoted(name) + "; there are";
  for (const FieldSpec& spec : kFields) message += " " + std::string(spec.name);
  return usage(std::move(message));
}

Result<FieldTest> parse_field_test(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return usage(quoted(text) + " is not FIELD=VALUE, such as pri_ip=10.0.0.0/8 or protocol=tcp");
  }
  const auto field = parse_field(text.substr(0, equals));
  if (!field) return field.error();
  FieldTest test;
  test.field = *field;
  std::string_view rest = text.substr(equals + 1);
  while (true) {
    const std::size_t comma = kind_of(*field) == FieldKind::kText ? std::string_view::npos : rest.find(',');
    if (auto added = add_value(rest.substr(0, comma), test); !added) {
      return usage(quoted(text) + ": " + added.error().message);
    }
    if (comma == std::string_view::npos) return test;
    rest = rest.substr(comma + 1);
  }
}

}  // namespace natsession
