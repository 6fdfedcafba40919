#include "session/vpc_map.h"

#include <algorithm>
#include <charconv>

#include "record/labels.h"

namespace natsession {
namespace {

Error bad_rule(std::string_view text, std::string_view why) {
  return Error{ErrorKind::kUsage, "'" + std::string(text) + "' " + std::string(why) +
                                      "; a rule is ID, 10.0.0.0/8=ID, zone:N=ID or mark:V[/MASK]=ID"};
}

// Decimal, or hexadecimal with 0x.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  Number number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

}  // namespace

Result<VpcRule> VpcRule::parse(std::string_view text) {
  VpcRule rule;
  const std::size_t equals = text.find('=');
  const std::string_view id = equals == std::string_view::npos ? text : text.substr(equals + 1);
  if (id.empty()) return bad_rule(text, "has no id");
  if (id.size() > kMaxIdLength) return bad_rule(text, "has an id of more than 255 bytes");
  if (std::any_of(id.begin(), id.end(), is_control))
    return bad_rule(text, "has a control character in its id");
  const auto label = intern_label(id);
  if (!label) return label.error();
  rule.vpc_id = *label;
  rule.text = text;
  if (equals == std::string_view::npos) return rule;

  std::string_view match = text.substr(0, equals);
  if (match.starts_with("zone:")) {
    const auto zone = parse_number<std::uint16_t>(match.substr(5));
    if (!zone) return bad_rule(text, "has a bad zone, which is 0 to 65535");
    rule.kind = Kind::kZone;
    rule.zone = *zone;
  } else if (match.starts_with("mark:")) {
    match.remove_prefix(5);
    const std::size_t slash = match.find('/');
    const auto mark = parse_number<std::uint32_t>(match.substr(0, slash));
    const auto mask = slash == std::string_view::npos ? std::optional(0xffffffffU)
                                                      : parse_number<std::uint32_t>(match.substr(slash + 1));
    if (!mark || !mask)
      return bad_rule(text, "has a bad mark or mask, which are 32-bit numbers such as 0x10");
    if ((*mark & ~*mask) != 0) return bad_rule(text, "has a mark with bits outside its mask");
    rule.kind = Kind::kMark;
    rule.mark = *mark;
    rule.mark_mask = *mask;
  } else {
    const auto prefix = Prefix::parse(match);
    if (!prefix) return bad_rule(text, prefix.error().message);
    rule.kind = Kind::kPrefix;
    rule.prefix = *prefix;
  }
  return rule;
}

VpcMap::VpcMap(std::vector<VpcRule> rules) : rules_(std::move(rules)) {
  // Stable: among rules of equal rank the one given first wins.
  std::stable_sort(rules_.begin(), rules_.end(), [](const VpcRule& a, const VpcRule& b) {
    if (a.kind != b.kind) return a.kind < b.kind;
    return a.kind == VpcRule::Kind::kPrefix && a.prefix.length() > b.prefix.length();
  });
}

std::string_view VpcMap::find(const IpAddress& pri_ip, std::uint16_t zone, std::uint32_t mark) const {
  for (const VpcRule& rule : rules_) {
    switch (rule.kind) {
      case VpcRule::Kind::kPrefix:
        if (rule.prefix.contains(pri_ip)) return rule.vpc_id;
        break;
      case VpcRule::Kind::kZone:
        if (rule.zone == zone) return rule.vpc_id;
        break;
      case VpcRule::Kind::kMark:
        if ((mark & rule.mark_mask) == rule.mark) return rule.vpc_id;
        break;
      case VpcRule::Kind::kDefault:
        return rule.vpc_id;
    }
  }
  return {};
}

}  // namespace natsession
