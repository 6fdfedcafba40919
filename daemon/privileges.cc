#include "privileges.h"

#include <sys/capability.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace natsession {

Result<void> keep_only(std::initializer_list<int> kept) {
  // Without CAP_SETPCAP the bounding set cannot be narrowed; then there is little in it that could be used.
  for (cap_value_t capability = 0; cap_get_bound(capability) >= 0; ++capability) {
    if (std::find(kept.begin(), kept.end(), capability) == kept.end()) (void)cap_drop_bound(capability);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error("prctl(PR_SET_NO_NEW_PRIVS)", errno);

  const auto release = [](cap_t set) { cap_free(set); };
  const std::unique_ptr<std::remove_pointer_t<cap_t>, decltype(release)> held(cap_get_proc(), release);
  const std::unique_ptr<std::remove_pointer_t<cap_t>, decltype(release)> wanted(cap_init(), release);
  if (!held || !wanted) return system_error("capabilities of this process", errno);
  for (const cap_value_t capability : kept) {
    cap_flag_value_t permitted = CAP_CLEAR;
    if (cap_get_flag(held.get(), capability, CAP_PERMITTED, &permitted) != 0 ||
        cap_set_flag(wanted.get(), CAP_PERMITTED, 1, &capability, permitted) != 0 ||
        cap_set_flag(wanted.get(), CAP_EFFECTIVE, 1, &capability, permitted) != 0) {
      return system_error("capabilities of this process", errno);
    }
  }
  if (cap_set_proc(wanted.get()) != 0) return system_error("giving up capabilities", errno);
  return {};
}

}  // namespace natsession
