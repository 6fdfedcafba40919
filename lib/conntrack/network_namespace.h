// NetworkNamespace: puts the calling thread into another network namespace while it lives. Sockets that are
// opened meanwhile stay in that namespace; the thread goes back.
// Threads: entered, left and destroyed on one thread; others are not touched.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace natsession {

// Which namespace it is, whatever it is called.
struct NamespaceIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const NamespaceIdentity&, const NamespaceIdentity&) = default;
};

class NetworkNamespace {
 public:
  // Shape:  `name` as enter() takes it.
  // Errors: as enter().
  [[nodiscard]] static Result<NamespaceIdentity> identify(std::string_view name);

  // Whether what is made anew under `name` is meant by it: not of a process, whose number another one gets.
  [[nodiscard]] static bool outlives(std::string_view name);

  // Enters the namespace that `name` means:
  //   ""        the one that the thread is in: nothing happens
  //   "NAME"    /run/netns/NAME, as `ip netns` makes them
  //   "/PATH"   a file that holds a namespace
  //   "pid:N"   that of process N
  // Errors: kUsage if there is none such, naming those that exist; kPermission without CAP_SYS_ADMIN.
  [[nodiscard]] static Result<NetworkNamespace> enter(std::string_view name);

  NetworkNamespace(NetworkNamespace&&) noexcept = default;
  NetworkNamespace& operator=(NetworkNamespace&&) = delete;
  NetworkNamespace(const NetworkNamespace&) = delete;
  NetworkNamespace& operator=(const NetworkNamespace&) = delete;
  // Leaves, unless leave() has. A thread that cannot go back would log another network's sessions as its own,
  // so then the program ends. That needs CAP_SYS_ADMIN to have been given up inside: call leave() before.
  ~NetworkNamespace();

  // Goes back, and says so if that fails.
  Result<void> leave();

 private:
  explicit NetworkNamespace(UniqueFd home) : home_(std::move(home)) {}
  UniqueFd home_;  // where the thread came from; empty once it is back
};

}  // namespace natsession
