#include "query/query.h"

#include <charconv>

#include "net/protocol.h"

namespace natsession {
namespace {

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

template <typename Number>
bool read_number(std::string_view text, Number& number, int base = 10) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, base);
  return !text.empty() && error == std::errc() && rest == end;
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
    return usage_error(quoted(text) + " is no number and no range such as 1024-65535");
  }
  if (range.lowest > range.highest || range.highest > spec_of(field).limit) {
    return usage_error(quoted(text) + " is out of range: 0 to " + std::to_string(spec_of(field).limit));
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
      const auto number = parse_word(test.field, value);
      if (!number) {
        const FieldSpec& spec = spec_of(test.field);
        std::string message = quoted(value) + " is none of:";
        for (std::uint64_t known = zero_is_none(test.field) ? 1 : 0; known <= spec.limit; ++known) {
          message += " " + std::string(spec.word(known));
        }
        return usage_error(std::move(message));
      }
      test.numbers.push_back({*number, *number});
      return {};
    }
    case FieldKind::kId: {
      std::uint64_t id = 0;
      if (value.size() > kHex64Length || !read_number(value, id, 16)) {
        return usage_error(quoted(value) + " is not up to 16 hexadecimal digits");
      }
      test.numbers.push_back({id, id});
      return {};
    }
    case FieldKind::kTime:
      break;
  }
  return usage_error(std::string(name_of(test.field)) + " is a time: choose it with a time range");
}

}  // namespace

Result<FieldTest> parse_field_test(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return usage_error(quoted(text) + " is not FIELD=VALUE, such as pri_ip=10.0.0.0/8 or protocol=tcp");
  }
  const auto field = parse_field(text.substr(0, equals));
  if (!field) return field.error();
  FieldTest test;
  test.field = *field;
  std::string_view rest = text.substr(equals + 1);
  while (true) {
    const std::size_t comma = kind_of(*field) == FieldKind::kText ? std::string_view::npos : rest.find(',');
    if (auto added = add_value(rest.substr(0, comma), test); !added) {
      return usage_error(quoted(text) + ": " + added.error().message);
    }
    if (comma == std::string_view::npos) return test;
    rest = rest.substr(comma + 1);
  }
}

}  // namespace natsession
