#include "identity/sources/dnsmasq_text.h"

#include "identity/sources/words.h"

namespace natsession {

void DnsmasqText::line(std::string_view line, const LineTime& time, IdentityOutput& output) {
  std::string_view rest = line;
  const std::string_view expiry = take_word(rest);
  if (expiry.empty() || expiry == "duid") return;
  const std::string_view hardware = take_word(rest);
  const std::string_view address = take_word(rest);
  std::string_view host = take_word(rest);
  std::string_view client = take_word(rest);
  const auto refuse = [&](std::string_view why) {
    output.refused("a lease of dnsmasq's " + std::string(why), line);
  };
  if (client.empty()) return refuse("has less than five words");
  const auto seconds = whole_number(expiry);
  const auto expires = seconds ? at_second(*seconds) : std::nullopt;
  if (!expires) return refuse("has no time of expiry");
  const auto ip = IpAddress::parse(address);
  if (!ip) return refuse("has no address");
  if (host == "*") host = {};
  if (client == "*") client = {};

  SeenAssignment seen;
  seen.prefix = Prefix::of(*ip, 128);
  seen.kind = AssignmentKind::kLease;
  seen.host = host;
  if (*seconds != 0) seen.expires = expires;
  const std::string mac = ip->is_v4() ? mac_of(hardware) : std::string();
  if (ip->is_v4()) {
    seen.mac = mac;
    seen.subscriber = !mac.empty() ? std::string_view(mac) : !client.empty() ? client : hardware;
    seen.id = client;
  } else {
    seen.subscriber = !client.empty() ? client : hardware;
    seen.id = hardware;
  }
  tell_seen(output, seen, time.written);
}

}  // namespace natsession
