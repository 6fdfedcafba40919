// The parser of Kea's leases takes any bytes.
#include "fuzz/identity_text.h"
#include "identity/sources/kea_text.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  fuzz_identity_text<KeaText>(input);
}

}  // namespace natsession::testing
