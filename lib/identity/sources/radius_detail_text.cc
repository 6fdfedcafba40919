#include "identity/sources/radius_detail_text.h"

#include <algorithm>
#include <array>

#include "identity/sources/words.h"

namespace natsession {
namespace {

// "al\"ice" without quotes and backslashes; what is not in quotes as it is.
std::string unquoted(std::string_view value) {
  if (value.size() < 2 || (value[0] != '"' && value[0] != '\'') || value.back() != value[0])
    return std::string(value);
  value = value.substr(1, value.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '\\' || i + 1 == value.size()) {
      out += value[i];
      continue;
    }
    ++i;
    const auto is_octal = [&](std::size_t at) {
      return at < value.size() && value[at] >= '0' && value[at] <= '7';
    };
    if (is_octal(i) && is_octal(i + 1) && is_octal(i + 2)) {
      out +=
          static_cast<char>(((value[i] - '0') * 64 + (value[i + 1] - '0') * 8 + (value[i + 2] - '0')) & 0xff);
      i += 2;
    } else if (value[i] == 'n' || value[i] == 'r' || value[i] == 't') {
      out += value[i] == 'n' ? '\n' : value[i] == 'r' ? '\r' : '\t';
    } else {
      out += value[i];
    }
  }
  return out;
}

// "Nov 30 2026 19:30:00 UTC"
std::optional<UnixMs> event_time(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (const auto seconds = whole_number(text)) return at_second(*seconds);
  const auto month = std::find(kMonths.begin(), kMonths.end(), take_word(text));
  const auto day = whole_number(take_word(text));
  const auto year = whole_number(take_word(text));
  const std::string_view clock = take_word(text);
  if (month == kMonths.end() || !day || *day > 31 || !year || *year > 9999 || clock.size() != 8 ||
      clock[2] != ':' || clock[5] != ':' || (text != "UTC" && text != "GMT"))
    return std::nullopt;
  const auto hour = whole_number(clock.substr(0, 2));
  const auto minute = whole_number(clock.substr(3, 2));
  const auto second = whole_number(clock.substr(6, 2));
  if (!hour || !minute || !second) return std::nullopt;
  return time_of(static_cast<int>(*year), static_cast<unsigned>(month - kMonths.begin()) + 1,
                 static_cast<unsigned>(*day), static_cast<unsigned>(*hour), static_cast<unsigned>(*minute),
                 static_cast<unsigned>(*second));
}

// 0x616263 as text where it is one.
std::string class_of(std::string_view value) {
  if (!value.starts_with("0x")) return unquoted(value);
  std::string text;
  for (std::size_t i = 2; i + 1 < value.size(); i += 2) {
    int byte = 0;
    for (const char digit : value.substr(i, 2)) {
      const bool is_number = digit >= '0' && digit <= '9';
      const bool is_letter = digit >= 'a' && digit <= 'f';
      if (!is_number && !is_letter) return {};
      byte = byte * 16 + (is_number ? digit - '0' : digit - 'a' + 10);
    }
    if (byte < 0x20 || byte > 0x7e) return {};
    text += static_cast<char>(byte);
  }
  return text;
}

}  // namespace

void RadiusDetailText::begin() {
  report_.clear();
  client_.clear();
  within_ = has_time_ = false;
}

void RadiusDetailText::attribute(std::string_view name, std::string_view value, IdentityOutput& output) {
  using Status = AccountingReport::Status;
  const auto refuse = [&] {
    output.refused("an attribute of a RADIUS detail file", std::string(name) + " = " + std::string(value));
  };
  const auto prefix = [&](bool is_prefix) {
    const auto found = Prefix::parse(value);
    if (!found || (!is_prefix && found->length() < 32)) return refuse();
    const std::string address = found->lowest().to_string();
    if (address == "255.255.255.255" || address == "255.255.255.254" || address == "0.0.0.0") return;
    if (report_.prefixes.size() < 16 &&
        std::find(report_.prefixes.begin(), report_.prefixes.end(), *found) == report_.prefixes.end())
      report_.prefixes.push_back(*found);
  };
  const auto number = [&](std::optional<std::uint64_t>& to) {
    const auto found = whole_number(value);
    if (!found) return refuse();
    to = found;
  };
  if (name == "Acct-Status-Type") {
    report_.status = value == "Start" || value == "1"                                ? Status::kStart
                     : value == "Stop" || value == "2"                               ? Status::kStop
                     : value == "Interim-Update" || value == "Alive" || value == "3" ? Status::kInterim
                     : value == "Accounting-On" || value == "7"                      ? Status::kOn
                     : value == "Accounting-Off" || value == "8"                     ? Status::kOff
                                                                                     : Status::kOther;
  } else if (name == "Acct-Session-Id") {
    report_.session_id = unquoted(value);
  } else if (name == "User-Name") {
    report_.user = unquoted(value);
  } else if (name == "Calling-Station-Id") {
    report_.calling_station = unquoted(value);
  } else if (name == "Class") {
    report_.cls = class_of(value);
  } else if (name == "NAS-Identifier") {
    report_.nas_identifier = unquoted(value);
  } else if (name == "NAS-IP-Address" || (name == "NAS-IPv6-Address" && !report_.nas_address)) {
    if (const auto address = IpAddress::parse(value)) report_.nas_address = *address;
  } else if (name == "Packet-Src-IP-Address" || name == "Client-IP-Address" ||
             name == "Packet-Src-IPv6-Address") {
    client_ = value;
  } else if (name == "Framed-IP-Address" || name == "Framed-IPv6-Address") {
    prefix(false);
  } else if (name == "Framed-IPv6-Prefix" || name == "Delegated-IPv6-Prefix") {
    prefix(true);
  } else if (name == "Acct-Delay-Time") {
    number(report_.delay_seconds);
  } else if (name == "Acct-Session-Time") {
    number(report_.session_seconds);
  } else if (name == "Event-Timestamp") {
    report_.event = event_time(unquoted(value));
  } else if (name == "Timestamp") {
    const auto seconds = whole_number(value);
    const auto time = seconds ? at_second(*seconds) : std::nullopt;
    if (!time) return refuse();
    report_.received = *time;
    has_time_ = true;
  }
}

void RadiusDetailText::finish(const LineTime& time, IdentityOutput& output) {
  if (!within_) return;
  // Whole seconds: what was written within this one came at that moment.
  if (!has_time_ || (time.exact && time.written >= report_.received &&
                     time.written < report_.received + std::chrono::seconds(1)))
    report_.received = time.written;
  report_.received = std::min(report_.received, time.now);
  tell_accounting(report_, client_.empty() ? "a detail file" : std::string_view(client_), output);
  begin();
}

void RadiusDetailText::line(std::string_view line, const LineTime& time, IdentityOutput& output) {
  const std::string_view text = without_spaces(line);
  if (text.empty()) return finish(time, output);
  if (line[0] != '\t' && line[0] != ' ') {
    if (within_) output.refused("an entry of a RADIUS detail file has no end before", text);
    begin();
    within_ = true;
    return;
  }
  const std::size_t equals = text.find(" = ");
  if (!within_ || equals == std::string_view::npos) {
    if (within_ && text.ends_with(" =")) return;  // an empty value
    output.refused("a line of a RADIUS detail file", text);
    return;
  }
  attribute(text.substr(0, equals), without_spaces(text.substr(equals + 3)), output);
}

void RadiusDetailText::end(const LineTime& time, IdentityOutput& output) {
  if (within_ && has_time_) finish(time, output);  // Timestamp is the last attribute
  begin();
}

}  // namespace natsession
