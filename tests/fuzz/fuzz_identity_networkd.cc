// The reader of systemd-networkd's leases takes any bytes.
#include "fuzz/identity_text.h"
#include "identity/sources/networkd_leases.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  constexpr UnixMs kNow{std::chrono::seconds(1'796'067'700)};
  CheckedOutput output(kNow);
  const bool read =
      tell_networkd_leases({reinterpret_cast<const char*>(input.data()), input.size()}, kNow, output);
  require_that(read || output.words == 0, "what is not understood tells nothing");
}

}  // namespace natsession::testing
