#include "flow_log_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/time.h"
#include "kernel_setup.h"
#include "nflog/log_rules.h"
#include "nflog/nflog_socket.h"
#include "routes/interface_table.h"
#include "routes/route_table.h"

namespace natsession {
namespace {

using FlowLogLevel = Finding::Level;

// As owner_of_group() says it of a daemon that runs: that is as it should be.
constexpr std::string_view kDaemonItself = "natsessiond, process ";

Finding check_group(const LogRules& rules, const std::string& owner) {
  Finding finding{fmt::format("NFLOG group {}", rules.group), "", "", FlowLogLevel::kOk, "", ""};
  if (!owner.empty() && !owner.starts_with(kDaemonItself)) {
    finding.level = FlowLogLevel::kFailure;
    finding.value = "held by " + owner;
    finding.meaning = "natsessiond would not start: a group has one reader";
    finding.remedy = "end that process, or reject_group with another number, and rules that log to that";
    return finding;
  }
  switch (rules.seen) {
    case LogRules::Seen::kRule:
      finding.value = fmt::format("{} rule{} to it", rules.rules, rules.rules == 1 ? " logs" : "s log");
      return finding;
    case LogRules::Seen::kUnknown:
      finding.level = FlowLogLevel::kUnknown;
      finding.value = "no rule that could be read logs to it";
      finding.meaning = "not all rules could be read: nft or iptables-save is missing, or shows them in part";
      break;
    case LogRules::Seen::kNone:
      finding.level = FlowLogLevel::kWarning;
      finding.value = "no rule logs to it";
      finding.meaning = "what the firewall drops is in no flow log";
      break;
  }
  finding.wanted = "a rule that logs to it before it drops";
  finding.remedy = fmt::format(
      "nft: in place of drop, and at the end of a chain whose policy is drop: counter log group {0} drop\n"
      "iptables, ip6tables: before each -j DROP the same rule with -j NFLOG --nflog-group {0} "
      "--nflog-threshold 100",
      rules.group);
  return finding;
}

Finding check_interface(const FlowLogConfig& log, const Result<std::vector<std::string>>& interfaces) {
  Finding finding{"flow log " + log.name, "", "", FlowLogLevel::kOk, "", ""};
  if (!interfaces) {
    finding.level = FlowLogLevel::kUnknown;
    finding.value = interfaces.error().message;
    return finding;
  }
  const std::string& name = log.resource.name;
  finding.value = "interface " + name;
  if (std::find(interfaces->begin(), interfaces->end(), name) != interfaces->end()) return finding;
  finding.level = FlowLogLevel::kWarning;
  finding.value = "there is no interface " + name;
  finding.meaning = "it has no entries until an interface of that name is there";
  finding.remedy = "ip link shows those that are there; for another one delete the log and make one anew";
  return finding;
}

// Only where a rule chooses by what no question tells.
Finding check_routes(const Config& config) {
  Finding finding{"routes", "rules choose them by port, protocol, TOS or user", "", FlowLogLevel::kOk, "",
                  ""};
  if (!config.interface_rules.empty()) {
    finding.meaning = fmt::format("interface tells those of {} prefixes", config.interface_rules.size());
    return finding;
  }
  finding.level = FlowLogLevel::kWarning;
  finding.meaning = "the kernel cannot be asked for these: entries of flow logs may name another interface";
  finding.remedy =
      "interface = [\"eth1=192.0.2.0/24\"], for each interface and the addresses that are reached by it";
  return finding;
}

}  // namespace

std::vector<Finding> check_flow_logs(const Config& config, const FlowLogCheckInput& input) {
  std::vector<Finding> findings;
  if (flow_windows(config).empty()) return findings;
  for (const FlowLogConfig& log : config.flow_logs) {
    if (log.on && log.resource.kind == FlowResource::Kind::kInterface)
      findings.push_back(check_interface(log, input.interfaces));
  }
  if (input.routes_by_more) findings.push_back(check_routes(config));
  if (!wants_refused(config)) return findings;
  const auto rules = find_log_rules(config.reject_groups, input.nft, input.legacy);
  for (std::size_t i = 0; i < rules.size(); ++i)
    findings.push_back(check_group(rules[i], i < input.owners.size() ? input.owners[i] : ""));
  return findings;
}

std::vector<Finding> examine_flow_logs(const Config& config, const Result<std::string>& nft) {
  if (flow_windows(config).empty()) return {};
  Result<std::vector<std::string>> names = std::vector<std::string>();
  if (const auto table = InterfaceTable::open(); !table) {
    names = table.error();
  } else {
    for (const auto& [index, interface] : table->all()) names->push_back(interface.name);
  }
  const SystemClock clock;
  auto routes = RouteTable::open(clock);
  std::vector<std::string> owners;
  for (const std::uint16_t group : config.reject_groups) owners.push_back(owner_of_group(group));
  const auto legacy = wants_refused(config) ? list_legacy_rules() : Result<std::string>(std::string());
  return check_flow_logs(config, {.nft = nft,
                                  .legacy = legacy,
                                  .owners = std::move(owners),
                                  .interfaces = names,
                                  .routes_by_more = routes && routes->by_more()});
}

}  // namespace natsession
