// LiveSessions: answers who uses what now, by a dump of the kernel's table on a socket of its own. The
// collector is not asked, so a question never takes it away from events.
// Threads: open() on one; collect() from any, one at a time.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "conntrack/table_dump.h"
#include "control/session_filter.h"
#include "control/status.h"
#include "session/port_usage.h"

namespace natsession {

class LiveSessions {
 public:
  // A table of a million flows is shown in some three seconds.
  static constexpr std::chrono::seconds kLimit{10};

  // In the network namespace of the calling thread. `netns` is how it is called in answers.
  // Errors: kUnavailable, kPermission, naming the step.
  [[nodiscard]] static Result<std::unique_ptr<LiveSessions>> open(NatSelection nat, std::string netns);
  // One that open() made in another process, of its descriptor there.
  [[nodiscard]] static Result<std::unique_ptr<LiveSessions>> adopt(NatSelection nat, std::string netns,
                                                                   UniqueFd descriptor);
  [[nodiscard]] int descriptor() const { return dump_.fd(); }

  // Adds those that match to `answer`, up to the filter's limit.
  // Errors: the kernel's; kUnavailable when it takes longer than kLimit.
  Result<void> collect(const SessionFilter& filter, SessionsAnswer& answer);

  // How many there are, and which ports they use: for when nobody follows them.
  struct Usage {
    std::uint64_t sessions = 0;
    std::vector<PortUsage::Entry> ports;
  };
  [[nodiscard]] Result<Usage> count();

  // When the session began that is the oldest now.
  struct OldestStart {
    std::optional<UnixMs> known;  // of those whose beginning the kernel knows
    bool some_unknown = false;    // there are others
  };
  [[nodiscard]] Result<OldestStart> oldest_start();

  [[nodiscard]] const std::string& netns() const { return origin_.netns; }

 private:
  LiveSessions(TableDump dump, const Origin& origin) : dump_(std::move(dump)), origin_(origin) {}

  [[nodiscard]] static Result<std::unique_ptr<LiveSessions>> make(NatSelection nat, std::string netns,
                                                                  Result<NetlinkSocket> socket);
  Result<void> show(EventSource::Handler& handler, const std::function<bool()>& enough);

  std::mutex mutex_;  // of the dump
  TableDump dump_;
  const Origin& origin_;  // interned
};

}  // namespace natsession
