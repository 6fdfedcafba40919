// Who is at the other end of a unix socket, and what he may do.
// Threads: any.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace natsession {

// The number of a group; nullopt if there is none of this name.
[[nodiscard]] std::optional<gid_t> find_group(const std::string& name);

// Whether the peer may change something: root, this process's own user, and members of `group`. Whoever can
// open the socket may read; where somebody has widened its mode, that is more than those.
// Shape:  credentials are those that the peer had when it connected, supplementary groups included.
[[nodiscard]] bool peer_may_change(int fd, const std::optional<gid_t>& group);

}  // namespace natsession
