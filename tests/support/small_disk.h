// A disk that is soon full: a tmpfs of a few KiB, for tests that run as root.
#pragma once

#include <sys/mount.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "support/temp_dir.h"

namespace natsession::testing {

// In CI nothing is skipped for want of a permission.
inline bool must_not_skip() {
  const char* const ci = std::getenv("CI");
  return ci != nullptr && std::string(ci) == "true";
}

class SmallDisk {
 public:
  explicit SmallDisk(std::size_t kib) {
    mounted_ = ::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, size_option(kib).c_str()) == 0;
    if (!mounted_) why_ = std::strerror(errno);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }

  // Empty, or why there is no such disk.
  [[nodiscard]] const std::string& why_not() const { return why_; }
  // False where there is none: the test then says why and passes, or, in CI, fails.
  [[nodiscard]] bool usable() const {
    if (!why_.empty() && must_not_skip()) FAIL("needs root to mount a tmpfs: " << why_);
    if (!why_.empty()) WARN("skipped: needs root to mount a tmpfs: " << why_);
    return why_.empty();
  }
  void resize(std::size_t kib) const {
    ::mount("tmpfs", directory_.path().c_str(), "tmpfs", MS_REMOUNT, size_option(kib).c_str());
  }
  void make_read_only(bool on) const {
    ::mount("tmpfs", directory_.path().c_str(), "tmpfs", MS_REMOUNT | (on ? MS_RDONLY : 0), nullptr);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }

 private:
  static std::string size_option(std::size_t kib) { return "size=" + std::to_string(kib) + "k"; }

  TempDir directory_;
  bool mounted_ = false;
  std::string why_;
};

}  // namespace natsession::testing
