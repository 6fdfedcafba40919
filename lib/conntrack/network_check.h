// Checks what else of a network namespace makes a log poorer than it could be, beyond what every start looks
// at (kernel_check.h): rules without NAT, flows that are offloaded, a table that is too small, other
// listeners.
// Shape:  looks at the network namespace of the calling thread (NetworkNamespace).
// Threads: any, each in its own namespace.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conntrack/kernel_check.h"
#include "session/settings.h"

namespace natsession {

struct NetworkCheckInput {
  Result<std::string> ruleset;  // list_ruleset()
  NatSelection nat = NatSelection::kSnat;
  bool reliable = true;    // DESTROYs are sent again
  std::string_view netns;  // as in KernelCheckInput
  std::string_view proc = kProc;
};

// The findings, in the same order. Reads /proc and nothing else.
[[nodiscard]] std::vector<Finding> check_network(const NetworkCheckInput& input);

}  // namespace natsession
