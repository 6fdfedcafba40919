#include "identity/sources/dhcpd_text.h"

#include <algorithm>
#include <array>

#include "identity/sources/words.h"

namespace natsession {
namespace {

constexpr std::size_t kMostBraces = 8;
constexpr std::size_t kMostQuoted = 512;

// What stands between the first quotes, with \ooo and \c for bytes. Bytes behind the closing quote are left
// out.
std::vector<std::uint8_t> quoted_bytes(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  std::size_t at = text.find('"');
  if (at == std::string_view::npos) return bytes;
  for (++at; at < text.size() && text[at] != '"' && bytes.size() < kMostQuoted; ++at) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      bytes.push_back(static_cast<std::uint8_t>(text[at]));
      continue;
    }
    ++at;
    const auto is_octal = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '7'; };
    if (is_octal(at) && is_octal(at + 1) && is_octal(at + 2)) {
      const int value = (text[at] - '0') * 64 + (text[at + 1] - '0') * 8 + (text[at + 2] - '0');
      bytes.push_back(static_cast<std::uint8_t>(value & 0xff));
      at += 2;
    } else {
      bytes.push_back(static_cast<std::uint8_t>(text[at]));
    }
  }
  return bytes;
}

// Of a client identifier: in quotes, or 01:0e:….
std::string identifier_of(std::string_view text) {
  if (text.starts_with('"')) return colons_of(quoted_bytes(text));
  return std::string(text);
}

}  // namespace

void DhcpdText::begin() {
  within_.clear();
  lease_ = {};
  contact_ = {};
}

DhcpdText::When DhcpdText::when_of(std::string_view words) {
  const std::string_view first = take_word(words);
  if (first == "never") return {std::nullopt, true};
  if (first == "epoch") {
    const auto seconds = whole_number(take_word(words));
    return {seconds ? at_second(*seconds) : std::nullopt, false};
  }
  // The day of the week, 2026/11/30, 19:38:53
  const std::string_view day = take_word(words);
  const std::string_view clock = take_word(words);
  std::array<unsigned, 6> parts{};
  std::size_t count = 0;
  for (const auto& [text, sign] : {std::pair{day, '/'}, std::pair{clock, ':'}}) {
    std::string_view rest = text;
    for (int i = 0; i < 3; ++i) {
      const std::size_t end = std::min(rest.find(sign), rest.size());
      const auto number = whole_number(rest.substr(0, end));
      if (!number || *number > 9999) return {};
      parts[count++] = static_cast<unsigned>(*number);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return {time_of(static_cast<int>(parts[0]), parts[1], parts[2], parts[3], parts[4], parts[5]), false};
}

void DhcpdText::line(std::string_view line, const LineTime& time, IdentityOutput& output) {
  std::string_view text = without_spaces(line);
  if (text.empty() || text.starts_with('#')) return;
  if (text == "}") return close(time, output);
  if (text.ends_with('{')) return open(without_spaces(text.substr(0, text.size() - 1)), output);
  if (within_.empty()) return;  // server-duid, authoring-byte-order, failover state
  if (text.ends_with(';')) text.remove_suffix(1);
  // "ends epoch 1796067533; # Mon Nov 30 …"
  if (const std::size_t remark = text.find("; #"); remark != std::string_view::npos)
    text = text.substr(0, remark);
  statement(text, output);
}

void DhcpdText::open(std::string_view head, IdentityOutput& output) {
  std::string_view rest = head;
  const std::string_view word = take_word(rest);
  const Within outer = within_.empty() ? Within::kNothing : within_.back();
  Within inner = Within::kOther;
  if (within_.size() >= kMostBraces) {
    output.refused("dhcpd's leases have braces within braces", head);
    begin();
    return;
  }
  // A declaration within another: the end of that one was never written, dhcpd fell meanwhile.
  if (word == "lease" || word == "ia-na" || word == "ia-ta" || word == "ia-pd") {
    if (outer != Within::kNothing) output.refused("a declaration of dhcpd's has no end before", head);
    begin();
    lease_ = {};
    if (word == "lease") {
      const auto address = IpAddress::parse(rest);
      if (address) lease_.prefix = Prefix::of(*address, 128);
      lease_.has_prefix = address.has_value();
      inner = Within::kLease;
      if (!address) output.refused("a lease of dhcpd's has no address", head);
    } else {
      const std::vector<std::uint8_t> bytes = quoted_bytes(rest);
      iaid_.clear();
      duid_.clear();
      // Four bytes of the IAID in the machine's order, then the DUID.
      if (bytes.size() > 4) {
        const std::uint32_t iaid = bytes[0] | static_cast<std::uint32_t>(bytes[1]) << 8U |
                                   static_cast<std::uint32_t>(bytes[2]) << 16U |
                                   static_cast<std::uint32_t>(bytes[3]) << 24U;
        iaid_ = std::to_string(iaid);
        duid_ = colons_of(std::span(bytes).subspan(4));
      } else {
        output.refused("an association of dhcpd's has no DUID", head);
      }
      inner = Within::kAssociation;
    }
  } else if (outer == Within::kAssociation && (word == "iaaddr" || word == "iaprefix")) {
    lease_ = {};
    const auto prefix = Prefix::parse(rest);
    if (prefix) lease_.prefix = *prefix;
    lease_.has_prefix = prefix.has_value() && !duid_.empty();
    lease_.kind = word == "iaprefix" ? AssignmentKind::kDelegation : AssignmentKind::kLease;
    inner = Within::kAddress;
    if (!prefix) output.refused("an association of dhcpd's has no address", head);
  }
  within_.push_back(inner);
}

void DhcpdText::statement(std::string_view text, IdentityOutput& output) {
  const Within within = within_.back();
  std::string_view rest = text;
  const std::string_view word = take_word(rest);
  const auto time_into = [&](When& when) {
    when = when_of(rest);
    if (!when.at && !when.never) output.refused("a lease of dhcpd's has no such time", text);
  };
  if (word == "cltt" && (within == Within::kLease || within == Within::kAssociation))
    return time_into(contact_);
  if (within != Within::kLease && within != Within::kAddress) return;
  if (word == "starts") return time_into(lease_.starts);
  if (word == "ends") return time_into(lease_.ends);
  if (word == "binding" && take_word(rest) == "state") {
    lease_.state = take_word(rest);
  } else if (word == "hardware") {
    (void)take_word(rest);
    lease_.mac = mac_of(take_word(rest));
  } else if (word == "uid") {
    lease_.uid = identifier_of(rest);
  } else if (word == "client-hostname") {
    const std::vector<std::uint8_t> bytes = quoted_bytes(rest);
    lease_.host.assign(bytes.begin(), bytes.end());
  }
}

void DhcpdText::close(const LineTime& time, IdentityOutput& output) {
  if (within_.empty()) return;
  const Within closed = within_.back();
  within_.pop_back();
  if ((closed != Within::kLease && closed != Within::kAddress) || !lease_.has_prefix) return;
  const bool is_address = closed == Within::kAddress;
  const When begun = is_address || !lease_.starts.at ? contact_ : lease_.starts;
  if (lease_.state == "active" || lease_.state.empty()) {
    if (!begun.at && lease_.state.empty()) return;  // a host that BOOTP gave nothing yet
    SeenAssignment seen;
    seen.prefix = lease_.prefix;
    seen.kind = lease_.kind;
    seen.mac = lease_.mac;
    seen.host = lease_.host;
    seen.subscriber = is_address ? duid_ : !lease_.mac.empty() ? lease_.mac : lease_.uid;
    seen.id = is_address ? iaid_ : lease_.uid;
    seen.expires = lease_.ends.at;
    UnixMs given = std::min(begun.at.value_or(time.written), time.written);
    // dhcpd tells seconds; what was written within this one was given at that moment.
    if (time.exact && time.written < given + std::chrono::seconds(1)) given = time.written;
    seen.since = given;
    tell_seen(output, seen, given);
    return;
  }
  // free, released, expired, abandoned, backup, reset: nobody's any more. When it was released is the time of
  // the last contact in DHCPv6, and its end in DHCPv4.
  std::optional<UnixMs> ended = lease_.ends.at;
  if (is_address && lease_.state == "released" && contact_.at) ended = contact_.at;
  UnixMs at = std::min(ended.value_or(time.written), time.written);
  if (time.exact && time.written < at + std::chrono::seconds(1)) at = time.written;
  tell_ended(output, lease_.prefix, is_address ? iaid_ : lease_.uid, at);
}

}  // namespace natsession
