// PrivateNetwork: puts the test into a network namespace of its own, with the kernel's defaults and an empty
// conntrack table, until the end of its scope. For tests that need the kernel itself.
#pragma once

#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace natsession::testing {

class PrivateNetwork {
 public:
  // Where this cannot be had, entered() is false: the test then says why and passes, or, in CI (CI=true),
  // fails.
  PrivateNetwork() : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    if (::unshare(CLONE_NEWNET) == 0) {
      entered_ = true;
      return;
    }
    const std::string why = std::string("[cannot run] no network namespace of its own: ") +
                            std::strerror(errno) + "; this test needs root";
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string_view(ci) == "true") FAIL(why);
    WARN(why);
  }
  PrivateNetwork(const PrivateNetwork&) = delete;
  PrivateNetwork& operator=(const PrivateNetwork&) = delete;
  ~PrivateNetwork() {
    if (entered_ && ::setns(home_.get(), CLONE_NEWNET) != 0) std::abort();
  }

  [[nodiscard]] bool entered() const { return entered_; }

  static void set_sysctl(const std::string& name, const std::string& value) {
    std::ofstream file("/proc/sys/net/netfilter/" + name);
    file << value << std::flush;
    REQUIRE(file.good());
  }

 private:
  UniqueFd home_;
  bool entered_ = false;
};

// Runs `work` in a child process that has given up being root, and returns what it returns (0 to 255).
inline int as_nobody(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0)
      ::_exit(255);
    ::_exit(work());
  }
  int status = 0;
  REQUIRE(child > 0);
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace natsession::testing
