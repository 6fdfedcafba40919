// NetworkdSource: the leases of systemd-networkd's DHCP server, of all its interfaces: what
// /var/lib/systemd/network/dhcp-server-lease and /run/systemd/netif/dhcp-server-lease have. networkd replaces
// a file at each lease that is given, renewed or given back, but for the last one: where that is given back
// the file stays as it was (257.13 and 262.1: they unlink() a path that is none), unless it is one of /run.
// Nor does it write where a lease expires. So of the last lease only its expiry is known, and the next one.
// Threads: as of IdentitySource.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
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
    static std::optional<State> of(const std::string& path);  // none: no file
    friend bool operator==(const State&, const State&) = default;
  };
  using Files = std::map<std::string, State>;

  Files list(IdentityOutput& output, bool& readable);
  void complain(const std::string& why, IdentityOutput& output);

  std::string name_;
  std::vector<std::string> folders_;
  FileWatch watch_;
  Files files_;
  bool read_ = false;   // what is there now was told
  bool known_ = false;  // all that there was in files_ was told, and none has been out of sight since
  std::string complaint_;
};

}  // namespace natsession
