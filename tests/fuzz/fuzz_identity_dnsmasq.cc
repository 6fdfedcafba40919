// The parser of dnsmasq's leases takes any bytes.
#include "fuzz/identity_text.h"
#include "identity/sources/dnsmasq_text.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  fuzz_identity_text<DnsmasqText>(input);
}

}  // namespace natsession::testing
