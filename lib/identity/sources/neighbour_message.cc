#include "identity/sources/neighbour_message.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "identity/sources/words.h"
#include "net/netlink_attribute.h"
#include "routes/route_message.h"
#include "routes/route_socket.h"

namespace natsession {
namespace {

// Whether an address may be a host's.
bool is_hosts(const IpAddress& address, bool with_link_local) {
  const auto& bytes = address.bytes();
  if (address.is_v4()) {
    if (bytes[12] == 0 || bytes[12] == 127 || bytes[12] >= 224) return false;
    return with_link_local || bytes[12] != 169 || bytes[13] != 254;
  }
  if (bytes[0] == 0xff || address == IpAddress()) return false;
  return with_link_local || bytes[0] != 0xfe || (bytes[1] & 0xc0U) != 0x80;
}

}  // namespace

std::optional<Neighbour> read_neighbour(std::uint16_t type, std::span<const std::byte> payload,
                                        bool with_link_local) {
  ndmsg header{};
  if ((type != RTM_NEWNEIGH && type != RTM_DELNEIGH) || !load_host(payload, header)) return std::nullopt;
  if ((header.ndm_flags & NTF_PROXY) != 0 || (header.ndm_family != AF_INET && header.ndm_family != AF_INET6))
    return std::nullopt;
  // Entries of the kernel's own making, for what is no host: multicast, broadcast, itself.
  if ((header.ndm_state & NUD_NOARP) != 0) return std::nullopt;
  Neighbour neighbour;
  std::optional<IpAddress> address;
  const bool whole = for_each_attribute(attributes_behind<ndmsg>(payload), [&](const Attribute& attribute) {
    if (attribute.type == NDA_DST) address = address_in(attribute.payload, header.ndm_family);
    if (attribute.type == NDA_LLADDR && attribute.payload.size() == 6)
      neighbour.mac = colons_of(
          {reinterpret_cast<const std::uint8_t*>(attribute.payload.data()), attribute.payload.size()});
    return true;
  });
  if (!whole || !address || !is_hosts(*address, with_link_local)) return std::nullopt;
  neighbour.address = *address;
  neighbour.interface = static_cast<std::uint32_t>(header.ndm_ifindex);
  constexpr unsigned kKnown = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
  neighbour.has_ended = type == RTM_DELNEIGH || (header.ndm_state & NUD_FAILED) != 0;
  neighbour.is_known = !neighbour.has_ended && (header.ndm_state & kKnown) != 0 && !neighbour.mac.empty() &&
                       neighbour.mac != "00:00:00:00:00:00";
  return neighbour;
}

}  // namespace natsession
