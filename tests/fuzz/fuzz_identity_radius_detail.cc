// The parser of FreeRADIUS's detail files takes any bytes.
#include "fuzz/identity_text.h"
#include "identity/sources/radius_detail_text.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  fuzz_identity_text<RadiusDetailText>(input);
}

}  // namespace natsession::testing
