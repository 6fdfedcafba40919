#include "identity/sources/networkd_leases.h"

#include <array>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "identity/sources/words.h"

namespace natsession {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostJsonLevels = 16;

std::vector<std::uint8_t> byte_array(const Json& object, const char* key) {
  std::vector<std::uint8_t> bytes;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array() || found->size() > 256) return bytes;
  for (const Json& one : *found) {
    if (!one.is_number_unsigned() || one.get<std::uint64_t>() > 255) return {};
    bytes.push_back(static_cast<std::uint8_t>(one.get<std::uint64_t>()));
  }
  return bytes;
}

// networkd has 16 bytes, with zeros behind the address, until systemd 261, and all zeros where it does not
// know it: then type and length are 0. Its first files had neither.
std::string mac_in(const Json& lease) {
  constexpr std::uint64_t kEthernet = 1, kLength = 6;
  const auto is = [&](const char* key, std::uint64_t wanted) {
    const auto found = lease.find(key);
    return found == lease.end() || (found->is_number_unsigned() && found->get<std::uint64_t>() == wanted);
  };
  const std::vector<std::uint8_t> address = byte_array(lease, "HardwareAddress");
  if (address.size() < kLength || !is("HardwareAddressType", kEthernet) ||
      !is("HardwareAddressLength", kLength))
    return {};
  return colons_of(std::span(address).first(kLength));
}

std::optional<UnixMs> at_microsecond(std::uint64_t time) {
  auto at = at_second(time / 1'000'000);
  if (at) *at += std::chrono::milliseconds(time / 1000 % 1000);
  return at;
}

}  // namespace

bool tell_networkd_leases(std::string_view json, UnixMs written, IdentityOutput& output) {
  // What is deeper than any file of networkd's is no file of its.
  std::size_t level = 0;
  bool too_deep = false;
  const Json whole = Json::parse(
      json.begin(), json.end(),
      [&](int depth, Json::parse_event_t, Json&) {
        level = static_cast<std::size_t>(depth);
        too_deep |= level > kMostJsonLevels;
        return !too_deep;
      },
      false);
  if (whole.is_discarded() || too_deep) return false;
  const Json* leases = &whole;
  if (whole.is_object()) {
    const auto found = whole.find("Leases");
    if (found == whole.end()) return true;
    leases = &*found;
  }
  if (!leases->is_array()) return false;
  for (const Json& lease : *leases) {
    if (!lease.is_object()) {
      output.refused("a lease of systemd-networkd's is no object");
      continue;
    }
    const std::vector<std::uint8_t> address = byte_array(lease, "Address");
    if (address.size() != 4) {
      output.refused("a lease of systemd-networkd's has no address");
      continue;
    }
    const std::string text = std::to_string(address[0]) + "." + std::to_string(address[1]) + "." +
                             std::to_string(address[2]) + "." + std::to_string(address[3]);
    const std::string client = colons_of(byte_array(lease, "ClientId"));
    std::string mac = mac_in(lease);
    // A client identifier of Ethernet is a 1 and the MAC.
    if (mac.empty() && client.size() == 20 && client.starts_with("01:")) mac = client.substr(3);
    SeenAssignment seen;
    seen.prefix = Prefix::of(*IpAddress::parse(text), 32);
    seen.kind = AssignmentKind::kLease;
    seen.mac = mac;
    seen.id = client;
    seen.subscriber = !mac.empty() ? mac : client;
    std::string host;
    if (const auto found = lease.find("Hostname"); found != lease.end() && found->is_string())
      host = found->get<std::string>();
    seen.host = host;
    if (const auto found = lease.find("ExpirationRealtimeUSec");
        found != lease.end() && found->is_number_unsigned())
      seen.expires = at_microsecond(found->get<std::uint64_t>());
    tell_seen(output, seen, written);
  }
  return true;
}

}  // namespace natsession
