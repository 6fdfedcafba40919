// What /proc/sys/net tells of a network namespace: the sysctls that a full log needs, and how full the table
// is.
// Threads: any, each in its own namespace; a TableGauge one at a time.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "session/collector_report.h"
#include "session/table_guard.h"

namespace natsession {

// The sysctls of a network namespace that a full log needs, and setting them.
// Shape:  /proc/sys/net shows the namespace of the thread that opens it, so call these while in it
// (NetworkNamespace).
// Threads: any, each in its own namespace.

struct WantedSysctl {
  std::string_view name;     // as sysctl(8) has it
  std::string_view meaning;  // for the log, when it does not have the wanted value 1
};

// Each is wanted to be 1.
inline constexpr std::array<WantedSysctl, 3> kWantedSysctls{{
    {"net.netfilter.nf_conntrack_acct",
     "bytes and packets are unknown (null), for every flow made while it is 0, to the flow's end"},
    {"net.netfilter.nf_conntrack_timestamp",
     "start times are when this program received the event, and unknown for flows older than it, for every "
     "flow made "
     "while it is 0, to the flow's end"},
    {"net.netfilter.nf_conntrack_events",
     "with 2, flows made while no program listens never send an event, not even at their end; with 0, no "
     "flow does"},
}};

// Where /proc is; tests put a folder in its place.
inline constexpr std::string_view kProc = "/proc";

// The value of a sysctl, without the newline. Empty if it does not exist.
// Errors: kIo or kPermission if it exists and cannot be read.
[[nodiscard]] Result<std::optional<std::string>> read_sysctl(std::string_view name,
                                                             std::string_view proc = kProc);

// What sets a sysctl of the network namespace that `netns` means (as NetworkNamespace::enter() takes it),
// while the calling thread is in it: commands, one a line, to be run where `netns` is a name. The second,
// where there is one, does it at boot: sysctl.d knows the machine's first namespace alone. What belongs to
// that one, and can only be read in others, is set there.
[[nodiscard]] std::string sysctl_remedy(std::string_view name, std::string_view value, std::string_view netns,
                                        std::string_view proc = kProc);

struct SysctlChange {
  std::string name;
  std::string before;
  std::string after;
};

// Sets every wanted sysctl that is not yet 1, and returns those that it changed. Flows made before keep
// having no counters and no stamps.
// Errors: kUnavailable if nf_conntrack is not loaded; kPermission if a file may not be written or /proc/sys
// is
//         mounted read-only (as in containers), naming it and what had been changed before it.
[[nodiscard]] Result<std::vector<SysctlChange>> tune_sysctls(std::string_view proc = kProc);

// TableGauge: how full the conntrack table of one network namespace is, and what it does for flows that
// begin now. Opened in the namespace of the calling thread (see NetworkNamespace), and stays with it.
// Threads: one at a time.
class TableGauge {
 public:
  // Where the sysctls are hidden, as in some containers, read() fails, and nothing else does.
  // Errors: kUnavailable if there are no descriptors.
  [[nodiscard]] static Result<TableGauge> open();
  // What it holds, to be handed to another process; and one that is made of it there.
  using Descriptors = std::array<UniqueFd, 5>;
  explicit TableGauge(Descriptors files) : files_(std::move(files)) {}
  [[nodiscard]] std::array<int, std::tuple_size_v<Descriptors>> descriptors() const;

  // Two reads of /proc, some microseconds.
  // Errors: kIo, with the cause.
  [[nodiscard]] Result<TableUsage> read() const;
  // Three reads. Never fails: what cannot be read is none.
  [[nodiscard]] ConntrackSysctls sysctls() const;

 private:
  enum File : std::size_t { kCount, kMax, kEvents, kAcct, kTimestamp };
  Descriptors files_;
};

}  // namespace natsession
