// The parser of dhcpd's leases takes any bytes.
#include "fuzz/identity_text.h"
#include "identity/sources/dhcpd_text.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  fuzz_identity_text<DhcpdText>(input);
}

}  // namespace natsession::testing
