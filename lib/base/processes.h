// Which process it is that holds something, for people.
// Threads: any; no state is kept.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace natsession {

struct ProcessName {
  pid_t pid = 0;     // 0: it is not known which
  std::string name;  // as ps(1) shows it; empty: it is not known

  // "natsessiond, process 4711"; "another process"
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool is_daemon() const { return name == "natsessiond"; }
};

[[nodiscard]] ProcessName process_name(pid_t pid);

// Who has the socket with this inode, as /proc/net tells it; nullopt if nobody is seen to: whoever is not
// root sees its own processes alone. Looks through the descriptors of all processes.
[[nodiscard]] std::optional<ProcessName> owner_of_socket(std::uint64_t inode);

}  // namespace natsession
