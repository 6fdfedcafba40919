// AddressAssignment: that an address, or a prefix, was somebody's for a time, as one source tells. It says no
// more than the source did: where a beginning or an end was not seen, it lies between two times.
// Threads: plain value types.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"
#include "net/ip_address.h"

namespace natsession {

// Numbers as they stand on disk.
enum class AssignmentKind : std::uint8_t {
  kLease = 0,       // DHCP: an address
  kDelegation = 1,  // DHCPv6: a prefix (RFC 8415, IA_PD)
  kSession = 2,     // RADIUS accounting: PPPoE, 802.1X, VPN
  kNeighbour = 3,   // ARP and NDP: which hardware has the address
  kStatic = 4,      // a list that somebody keeps
  kOther = 5,       // as a program told
};
// lease, delegation, session, neighbour, static, other
[[nodiscard]] std::string_view to_string(AssignmentKind kind);
[[nodiscard]] std::optional<AssignmentKind> parse_assignment_kind(std::string_view name);

// The longest text of each kind that is kept; a longer one is cut, within no character of UTF-8.
inline constexpr std::size_t kMaxIdentityText = 253;  // User-Name and Class (RFC 2865, 2866) have as much
[[nodiscard]] std::string_view cut_identity_text(std::string_view text);

// How long so many octets are as text.
[[nodiscard]] constexpr std::size_t octets_length(std::size_t octets) {
  return octets == 0 ? 0 : 3 * octets - 1;
}
// "02:00:5e", as MACs, DUIDs and client identifiers are kept; `at` has room for octets_length(). Returns its
// end.
char* write_octets(std::span<const std::uint8_t> octets, char* at);
void append_octets(std::span<const std::uint8_t> octets, std::string& out);

// `from_earliest` where nobody knows since when at the earliest.
inline constexpr UnixMs kUnknownBegin{};

// `source`, `netns`, `prefix`, `id` and `from` together name one: what is told of it later takes the place of
// what was told before.
struct AddressAssignment {
  std::string source;  // its URL without options and secrets: dnsmasq:/var/lib/misc/dnsmasq.leases
  std::string netns;   // where the address means something; empty: in all that are logged
  Prefix prefix;       // of an address: its whole length
  AssignmentKind kind = AssignmentKind::kOther;
  std::string subscriber;  // whom it is about, as the source names it: a user, else a MAC or DUID
  std::string mac;         // "02:00:00:00:00:01"; empty: not told
  std::string host;        // a host name; empty: not told
  std::string id;          // the source's own: Acct-Session-Id, client identifier, IAID; empty: it has none
  std::string group;       // of what ends together: a RADIUS client's NAS-Identifier; empty: of none
  // It was this subscriber's from `from` on; it may have been since `from_earliest`, which is not later.
  UnixMs from;
  UnixMs from_earliest;
  // It was up to `until`, and may have been up to `until_latest`, which is not earlier. Both or none; none:
  // it is open, and is believed as far as its source was followed (SourceSpan).
  std::optional<UnixMs> until;
  std::optional<UnixMs> until_latest;

  friend bool operator==(const AddressAssignment&, const AddressAssignment&) = default;
};

// A source was followed in all of this time: what it knew of assignments that began or ended then, the log
// has.
struct SourceSpan {
  std::string source;
  UnixMs from, until;
  friend bool operator==(const SourceSpan&, const SourceSpan&) = default;
};

}  // namespace natsession
