#include "control/session_filter.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/comma_list.h"
#include "net/protocol.h"

namespace natsession {
namespace {

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text, Number least, Number most) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    return std::nullopt;
  return value;
}

Result<void> set_port(std::optional<std::uint16_t>& to, std::string_view text) {
  to = parse_number<std::uint16_t>(text, 0, std::numeric_limits<std::uint16_t>::max());
  if (!to) return Error{ErrorKind::kUsage, quoted(text) + " is not a port: 0 to 65535"};
  return {};
}

Result<void> set_ports(std::vector<std::uint16_t>& to, std::string_view text) {
  for (const std::string_view one : comma_list(text)) {
    std::optional<std::uint16_t> port;
    if (auto set = set_port(port, one); !set) return set;
    if (to.size() == SessionFilter::kMaxPorts) {
      return Error{ErrorKind::kUsage, "at most " + std::to_string(SessionFilter::kMaxPorts) + " ports"};
    }
    to.push_back(*port);
  }
  std::sort(to.begin(), to.end());
  return {};
}

Result<void> set_prefix(std::optional<Prefix>& to, std::string_view text) {
  auto prefix = Prefix::parse(text);
  if (!prefix) return prefix.error();
  to = *prefix;
  return {};
}

Result<void> set_protocol(std::optional<std::uint8_t>& to, std::string_view text) {
  const auto protocol = parse_protocol(text);
  if (!protocol) return protocol.error();
  to = *protocol;
  return {};
}

Result<void> set_limit(std::size_t& to, std::string_view text) {
  const auto limit = parse_number<std::size_t>(text, 1, SessionFilter::kMaxLimit);
  if (!limit) {
    return Error{ErrorKind::kUsage,
                 quoted(text) + " is not a limit: 1 to " + std::to_string(SessionFilter::kMaxLimit)};
  }
  to = *limit;
  return {};
}

struct Argument {
  std::string_view name;
  Result<void> (*set)(SessionFilter& filter, std::string_view text);
};

const std::array<Argument, 10> kArguments{{
    {"netns",
     [](SessionFilter& filter, std::string_view text) -> Result<void> {
       filter.netns = std::string(text);
       return {};
     }},
    {"protocol",
     [](SessionFilter& filter, std::string_view text) { return set_protocol(filter.protocol, text); }},
    {"pri_ip", [](SessionFilter& filter, std::string_view text) { return set_prefix(filter.pri_ip, text); }},
    {"nat_ip", [](SessionFilter& filter, std::string_view text) { return set_prefix(filter.nat_ip, text); }},
    {"pub_ip", [](SessionFilter& filter, std::string_view text) { return set_prefix(filter.pub_ip, text); }},
    {"pri_port",
     [](SessionFilter& filter, std::string_view text) { return set_port(filter.pri_port, text); }},
    {"nat_port",
     [](SessionFilter& filter, std::string_view text) { return set_ports(filter.nat_ports, text); }},
    {"pub_port",
     [](SessionFilter& filter, std::string_view text) { return set_port(filter.pub_port, text); }},
    {"limit", [](SessionFilter& filter, std::string_view text) { return set_limit(filter.limit, text); }},
    {"recorded",
     [](SessionFilter& filter, std::string_view text) -> Result<void> {
       if (text != "yes") return Error{ErrorKind::kUsage, quoted(text) + " is not yes"};
       filter.recorded = true;
       return {};
     }},
}};

std::string argument_names() {
  std::string names;
  for (const Argument& argument : kArguments) {
    if (!names.empty()) names += ", ";
    names += argument.name;
  }
  return names;
}

}  // namespace

bool SessionFilter::matches(const SessionRecord& session) const {
  return (!netns || *netns == session.origin->netns) && (!protocol || *protocol == session.protocol) &&
         (!pri_port || *pri_port == session.pri_port) &&
         (nat_ports.empty() || std::binary_search(nat_ports.begin(), nat_ports.end(), session.nat_port)) &&
         (!pub_port || *pub_port == session.pub_port) && (!pri_ip || pri_ip->contains(session.pri_ip)) &&
         (!nat_ip || nat_ip->contains(session.nat_ip)) && (!pub_ip || pub_ip->contains(session.pub_ip));
}

Result<SessionFilter> parse_session_filter(const QueryArguments& arguments) {
  SessionFilter filter;
  std::array<bool, kArguments.size()> given{};
  for (const auto& [name, text] : arguments) {
    const auto found =
        std::find_if(kArguments.begin(), kArguments.end(),
                     [&name = name](const Argument& argument) { return argument.name == name; });
    if (found == kArguments.end()) {
      return Error{ErrorKind::kUsage, "unknown argument " + quoted(name) + "; there are " + argument_names()};
    }
    bool& twice = given[static_cast<std::size_t>(found - kArguments.begin())];
    if (twice) return Error{ErrorKind::kUsage, "argument " + quoted(name) + " is given twice"};
    twice = true;
    if (auto set = found->set(filter, text); !set) {
      return Error{ErrorKind::kUsage, "argument " + quoted(name) + ": " + set.error().message};
    }
  }
  return filter;
}

}  // namespace natsession
