// ServiceManager: tells the one that started this program how it is: ready, reloading, stopping, alive, and a
// line that `systemctl status` shows. Where there is none nothing is sent.
// Source: sd_notify(3), sd_watchdog_enabled(3): datagrams of VARIABLE=value lines to $NOTIFY_SOCKET.
// Threads: one.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "base/unique_fd.h"
#include "control/status.h"

namespace natsession {

class ServiceManager {
 public:
  // Takes what the environment says, and leaves nothing of it to programs that this one starts.
  ServiceManager();

  // Whether there is one.
  [[nodiscard]] bool is_there() const { return !path_.empty(); }
  // Descriptors that it has kept for this program, by name (sd_listen_fds(3)): those of sockets and memory of
  // a run before. Once.
  using Stored = std::map<std::string, UniqueFd>;
  [[nodiscard]] Stored take_stored() { return std::exchange(stored_, {}); }
  // Has it keep copies until another start of this program (FDSTORE=1, for which the unit has to allow for so
  // many: FileDescriptorStoreMax=), in place of what it kept by that name.
  void store(const std::string& name, int fd) const;
  void forget(const std::string& name) const;

  void ready();
  void reloading();
  // After reloading(): done, with what has come of it for the status line.
  void reloaded(std::string_view outcome);
  void stopping();

  // The program lives; where the manager wants to hear that (WatchdogSec=), it does, at least each
  // interval().
  void alive() const;
  // Now and then: renews the status line from `status`, which is asked when it is time.
  void tick(std::chrono::nanoseconds steady, const std::function<Status()>& status);
  [[nodiscard]] std::chrono::milliseconds interval() const { return interval_; }

 private:
  void send(std::string_view state, int fd = -1) const;

  std::string path_;
  Stored stored_;
  std::chrono::milliseconds interval_{std::chrono::seconds(1)};
  bool watched_ = false;
  std::string reload_outcome_;
  std::chrono::nanoseconds status_at_{};  // when it was told last
};

// Such as "logging: 1200 open sessions, 35 records/s; sinks: 2 Success; ledger: 3.1G since
// 2026-10-30T00:00:00Z".
[[nodiscard]] std::string status_line(const Status& status);

}  // namespace natsession
