// What --check says of flow logs, of one network namespace: whether a rule hands refused packets on, whether
// the groups are free, whether the interfaces are there, and where routes cannot tell them.
// Shape:  looks at the network namespace of the calling thread.
// Threads: any, each in its own namespace.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "conntrack/kernel_check.h"

namespace natsession {

struct FlowLogCheckInput {
  const Result<std::string>& nft;     // list_ruleset()
  const Result<std::string>& legacy;  // list_legacy_rules()
  // Who has each of config.reject_groups: as owner_of_group() tells.
  std::vector<std::string> owners;
  const Result<std::vector<std::string>>& interfaces;  // the names of those that are there
  bool routes_by_more = false;                         // RouteTable::by_more()
};

// The findings; none where no flow log is on.
[[nodiscard]] std::vector<Finding> check_flow_logs(const Config& config, const FlowLogCheckInput& input);

// The same, of what there is in the namespace.
[[nodiscard]] std::vector<Finding> examine_flow_logs(const Config& config, const Result<std::string>& nft);

}  // namespace natsession
