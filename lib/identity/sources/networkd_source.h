// NetworkdSource: the leases of systemd-networkd's DHCP server, of all its interfaces: what
// /var/lib/systemd/network/dhcp-server-lease and /run/systemd/netif/dhcp-server-lease have. networkd replaces
// a file at each change, and deletes it with the last lease.
// Threads: as of IdentitySource.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "identity/identity_source.h"
#include "identity/sources/file_watch.h"

namespace natsession {

class NetworkdSource final : public IdentitySource {
 public:
  NetworkdSource(std::string name, std::vector<std::string> folders);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Result<void> open() override;
  [[nodiscard]] int fd() const override { return watch_.fd(); }
  std::chrono::milliseconds turn(UnixMs now, IdentityOutput& output) override;

  static std::vector<std::string> usual_folders();

 private:
  // What is known of the files: whichever differs is read.
  struct State {
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t modified_ns = 0;
    friend bool operator==(const State&, const State&) = default;
  };
  using Files = std::map<std::string, State>;

  Files list(IdentityOutput& output, bool& readable);
  void complain(const std::string& why, IdentityOutput& output);

  std::string name_;
  std::vector<std::string> folders_;
  FileWatch watch_;
  Files files_;
  bool read_ = false;
  std::string complaint_;
};

}  // namespace natsession
