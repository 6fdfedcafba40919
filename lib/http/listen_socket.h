// ListenSocket: where the control socket and the metrics are reached.
// Threads: one; UnixListener::open() changes the process's umask for a moment, so it is called while there is
// no other.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "net/host_port.h"

namespace natsession {

// How errors call a unix socket, and what they say of one that another process listens at.
struct SocketWords {
  std::string what = "control socket ";  // before the path
  std::string way_out = "stop it, or give this daemon another --control PATH";
};

// A listening unix socket of mode 0660. The file is removed with the object, unless somebody has put another
// one there.
class UnixListener {
 public:
  // Replaces what a daemon that died left behind. `group`, when there is one of this name, owns the socket.
  // Errors: kUnavailable if a process listens there, naming its pid; kUsage if the path is too long or there
  // is
  //         something else than a socket; kPermission, kIo with the path.
  [[nodiscard]] static Result<UnixListener> open(const std::string& path, const std::string& group,
                                                 const SocketWords& words = {});

  // Whether open() would succeed, without a trace: the process that listens there already, 0 if it is not
  // known which; nullopt if nobody does.
  // Errors: as open(), but for that; kPermission, kUnavailable if its folder cannot be made or written.
  [[nodiscard]] static Result<std::optional<pid_t>> probe(const std::string& path);

  UnixListener(UnixListener&& other) noexcept;
  UnixListener& operator=(UnixListener&& other) noexcept;
  ~UnixListener();

  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UnixListener() = default;
  void remove();

  UniqueFd fd_;
  std::string path_;  // empty after a move
  dev_t device_{};
  ino_t inode_{};
};

// A listening TCP socket. No host: every address. Port 0 lets the kernel choose. Errors begin with "listen
// at" and the address.
// Errors: kUsage for an unknown host; kUnavailable if the address is in use or not this machine's.
[[nodiscard]] Result<UniqueFd> listen_tcp(const HostPort& where);

// The inode of the socket that listens on this port, in the network namespace of the process; nullopt: none.
[[nodiscard]] std::optional<std::uint64_t> tcp_listener(std::uint16_t port);

// The port that a TCP socket is bound to; 0 if it is none.
[[nodiscard]] std::uint16_t bound_port(int fd);

}  // namespace natsession
