// Checks whether this kernel, namespace and process allow a full log, and says what to do where they do not.
// Shape:  looks at the network namespace of the calling thread (NetworkNamespace).
// Threads: any, each in its own namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_count.h"
#include "base/result.h"
#include "conntrack/sysctls.h"

namespace natsession {

struct Finding {
  enum class Level : std::uint8_t {
    kOk,
    kUnknown,  // it could not be looked at: nothing is claimed
    kWarning,  // the log is less than it could be
    kFailure,  // there can be no log
  };
  std::string name;
  std::string value;
  std::string wanted;
  Level level = Level::kOk;
  std::string meaning;  // for the log; empty when kOk, unless something is worth saying
  std::string remedy;   // exact commands, or words, one a line; empty when kOk
};

// Something is not as a full log needs it.
[[nodiscard]] inline bool is_lack(const Finding& finding) {
  return finding.level == Finding::Level::kWarning || finding.level == Finding::Level::kFailure;
}

// What the kernel answered when it was asked through ctnetlink.
struct KernelProbe {
  // Of a request to the table: 0 if it was answered; EPERM without CAP_NET_ADMIN.
  int request_error = 0;
  enum class DumpFilter : std::uint8_t {
    kSupported,
    kIgnored,  // before Linux 5.19: entries came that the filter excludes
    kRefused,
    kUnknown,  // not asked, or the table was empty and showed nothing
  };
  DumpFilter dump_filter = DumpFilter::kUnknown;
};

// Asks the kernel. Loads nf_conntrack_netlink as a side effect, where modules are loaded on demand.
// Errors: kUnavailable if there is no netlink for netfilter at all.
[[nodiscard]] Result<KernelProbe> probe_kernel();

// What else the findings are made of.
struct KernelCheckInput {
  KernelProbe probe;
  std::string release;                    // uname -r
  std::optional<ByteCount> buffer_asked;  // when a socket was opened
  std::optional<ByteCount> buffer_granted;
  std::string_view netns;  // how the namespace is called, for remedies; empty: it is the program's own
  std::string_view proc = kProc;
};

// The findings, always all of them and in the same order. Reads sysctls and nothing else.
[[nodiscard]] std::vector<Finding> check_kernel(const KernelCheckInput& input);

// uname -r.
[[nodiscard]] std::string kernel_release();
// Whether this kernel's DESTROY of a TCP session has its state; not where the release says nothing.
[[nodiscard]] bool destroy_has_tcp_state(std::string_view release);

}  // namespace natsession
