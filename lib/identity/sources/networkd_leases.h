// What systemd-networkd keeps of the leases that its DHCP server gave: a file of JSON for each interface.
//
//   {"BootID":"…","Address":[10,7,0,1],"PrefixLength":24,
//    "Leases":[{"ClientId":[255,…],"Address":[10,7,0,55],"Hostname":"hosta","HardwareAddressType":1,
//               "HardwareAddressLength":6,"HardwareAddress":[14,179,163,202,7,203],
//               "ExpirationUSec":…,"ExpirationRealtimeUSec":1796067501000000}],"StaticLeases":[…]}
//
// An array of leases alone is taken, too. ExpirationUSec is of the clock since the boot, and not used.
// Threads: pure functions.
// Source: systemd 256 and newer, src/libsystemd-network/sd-dhcp-server-lease.c. systemd 255 and older keep none.
#pragma once

#include <string_view>

#include "identity/identity_source.h"

namespace natsession {

// Tells those in use of one file, whose text this is.
// Errors: false if it is no such JSON; nothing was told then.
[[nodiscard]] bool tell_networkd_leases(std::string_view json, UnixMs written, IdentityOutput& output);

}  // namespace natsession
