#include "net/protocol.h"

#include <array>
#include <cctype>
#include <charconv>

namespace natsession {
namespace {

struct Protocol {
  std::uint8_t number;
  std::string_view name;
};

constexpr std::array<Protocol, 8> kProtocols{{{1, "icmp"},
                                              {6, "tcp"},
                                              {17, "udp"},
                                              {33, "dccp"},
                                              {47, "gre"},
                                              {58, "icmpv6"},
                                              {132, "sctp"},
                                              {136, "udplite"}}};

}  // namespace

std::string_view protocol_name(std::uint8_t protocol) {
  for (const Protocol& known : kProtocols) {
    if (known.number == protocol) return known.name;
  }
  return {};
}

std::string protocol_text(std::uint8_t protocol) {
  const std::string_view name = protocol_name(protocol);
  return name.empty() ? std::to_string(protocol) : std::string(name);
}

Result<std::uint8_t> parse_protocol(std::string_view text) {
  std::string name(text);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const Protocol& known : kProtocols) {
    if (known.name == name) return known.number;
  }
  std::uint8_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  std::string message = "'" + std::string(text) + "' is not a protocol: ";
  for (const Protocol& known : kProtocols) message.append(known.name).append(", ");
  return Error{ErrorKind::kUsage, message + "or a number up to 255"};
}

}  // namespace natsession
