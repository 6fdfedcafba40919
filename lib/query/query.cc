#include "query/query.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/comma_list.h"
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

Result<void> add_value(std::string_view name, std::string_view value, FieldTest& test) {
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
  return usage_error(std::string(name) + " is a time: choose it with a time range");
}

constexpr std::array<std::string_view, 6> kOperators{"!=", "<=", ">=", "=", "<", ">"};

// "<", "<=", ">", ">=": one value that has an order.
Result<void> add_bound(std::string_view name, std::string_view comparison, std::string_view value,
                       FieldTest& test) {
  const FieldSpec& spec = spec_of(test.field);
  const bool below = comparison[0] == '<';
  const bool inclusive = comparison.size() == 2;
  if (spec.kind == FieldKind::kAddress) {
    if (value.find('/') != std::string_view::npos) {
      return usage_error("a prefix has no order: " + std::string(name) + "=" + std::string(value) +
                         " is what is in it, != what is not");
    }
    const auto address = IpAddress::parse(value);
    if (!address) return address.error();
    test.bound = {*address, below, inclusive};
    return {};
  }
  if (spec.kind == FieldKind::kTime) return add_value(name, value, test);
  if (spec.kind != FieldKind::kNumber || test.field == Field::kProtocol) {
    return usage_error(std::string(name) + " has no order: only = and != go with it");
  }
  std::uint64_t number = 0;
  if (!read_number(value, number) || number > spec.limit)
    return usage_error(quoted(value) + " is no number from 0 to " + std::to_string(spec.limit));
  if (!inclusive && number == (below ? 0 : spec.limit))
    return usage_error("no value is " + std::string(below ? "below " : "above ") + std::string(value));
  const std::uint64_t end = inclusive ? number : below ? number - 1 : number + 1;
  test.numbers.push_back(below ? NumberRange{0, end} : NumberRange{end, spec.limit});
  return {};
}

}  // namespace

const ReadyPart::Segment* ReadyPart::find(std::uint64_t first) const {
  const auto found =
      std::lower_bound(segments.begin(), segments.end(), first,
                       [](const Segment& segment, std::uint64_t wanted) { return segment.first < wanted; });
  return found != segments.end() && found->first == first ? &*found : nullptr;
}

Result<FieldTest> parse_field_test(std::string_view text) {
  return parse_field_test(text, parse_field);
}

Result<FieldTest> parse_field_test(std::string_view text, const FieldNamed& field_named) {
  const std::size_t place = text.find_first_of("=!<>");
  const std::string_view behind = text.substr(std::min(place, text.size()));
  const auto* const comparison = std::find_if(kOperators.begin(), kOperators.end(),
                                              [&](std::string_view one) { return behind.starts_with(one); });
  if (comparison == kOperators.end()) {
    return usage_error(quoted(text) +
                       " is not FIELD=VALUE, such as pri_ip=10.0.0.0/8, protocol!=tcp or pub_port<1024");
  }
  std::string_view name = text.substr(0, place);
  name = name.substr(0, name.find_last_not_of(' ') + 1);
  const auto field = field_named(name);
  if (!field) return field.error();
  FieldTest test(*field);
  test.excluded = *comparison == "!=";
  std::string_view rest = behind.substr(comparison->size());
  if (!test.excluded && *comparison != "=") {
    if (auto added = add_bound(name, *comparison, rest, test); !added)
      return usage_error(quoted(text) + ": " + added.error().message);
    return test;
  }
  const auto values = kind_of(*field) == FieldKind::kText ? std::vector{rest} : comma_list(rest);
  for (const std::string_view value : values) {
    if (auto added = add_value(name, value, test); !added)
      return usage_error(quoted(text) + ": " + added.error().message);
  }
  return test;
}

}  // namespace natsession
