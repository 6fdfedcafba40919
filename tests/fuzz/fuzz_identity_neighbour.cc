// The reader of rtnetlink's neighbours takes any bytes: two of a message's type, then what stands behind
// nlmsghdr.
#include "fuzz/fuzz_main.h"
#include "identity/sources/neighbour_message.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  if (input.size() < 2) return;
  std::uint16_t type = 0;
  std::memcpy(&type, input.data(), sizeof type);
  const auto all = read_neighbour(type, input.subspan(2), true);
  const auto far = read_neighbour(type, input.subspan(2), false);
  require_that(!far || all, "what is not of the link alone is told with it as well");
  if (!all) return;
  require_that(!all->is_known || all->mac.size() == 17, "who is known has a MAC");
  require_that(!(all->is_known && all->has_ended), "nobody is known and gone");
}

}  // namespace natsession::testing
