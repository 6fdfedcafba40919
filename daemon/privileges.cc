#include "privileges.h"

#include <sys/capability.h>
#include <sys/prctl.h>

#include <cerrno>
#include <memory>

namespace natsession {

Result<void> keep_only_net_admin() {
  // Without CAP_SETPCAP the bounding set cannot be narrowed; then there is little in it that could be used.
  for (cap_value_t capability = 0; cap_get_bound(capability) >= 0; ++capability) {
    if (capability != CAP_NET_ADMIN) (void)cap_drop_bound(capability);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error("prctl(PR_SET_NO_NEW_PRIVS)", errno);

  const auto release = [](cap_t set) { cap_free(set); };
  const std::unique_ptr<std::remove_pointer_t<cap_t>, decltype(release)> held(cap_get_proc(), release);
  const std::unique_ptr<std::remove_pointer_t<cap_t>, decltype(release)> kept(cap_init(), release);
  if (!held || !kept) return system_error("capabilities of this process", errno);

  cap_flag_value_t permitted = CAP_CLEAR;
  if (cap_get_flag(held.get(), CAP_NET_ADMIN, CAP_PERMITTED, &permitted) != 0) {
    return system_error("capabilities of this process", errno);
  }
  const cap_value_t wanted[] = {CAP_NET_ADMIN};
  if (permitted == CAP_SET && (cap_set_flag(kept.get(), CAP_PERMITTED, 1, wanted, CAP_SET) != 0 ||
                               cap_set_flag(kept.get(), CAP_EFFECTIVE, 1, wanted, CAP_SET) != 0)) {
    return system_error("capabilities of this process", errno);
  }
  if (cap_set_proc(kept.get()) != 0) return system_error("giving up capabilities", errno);
  return {};
}

}  // namespace natsession
