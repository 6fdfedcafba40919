// Whose process is at the other end of a connection from this machine.
// Threads: any.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace natsession::console {

// The user of a unix socket's peer, or of the process that has the other end of a TCP connection over
// loopback; nullopt if that cannot be told, as of one that is closed already.
// Source: SO_PEERCRED; /proc/net/tcp, tcp6.
[[nodiscard]] std::optional<uid_t> local_peer(int fd);

// Its name, or its number.
[[nodiscard]] std::string user_name(uid_t uid);
// Whether the user is in the group, by the user database.
[[nodiscard]] bool is_member(uid_t uid, const std::string& group);

}  // namespace natsession::console
