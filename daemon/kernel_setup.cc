#include "kernel_setup.h"

#include <algorithm>

#include <fmt/format.h>

#include "conntrack/network_check.h"
#include "conntrack/ruleset.h"
#include "flow_log_check.h"
#include "messages.h"

namespace natsession {

ConntrackOptions source_options(const Config& config, bool kept) {
  const FlowWants flows = flow_wants(config);
  const NatSelection wide = flows.untranslated ? NatSelection::kAll : NatSelection::kAny;
  return {.nat = flows.windows.empty() ? config.nat : wide,
          .receive_buffer = config.rcvbuf,
          .reliable = config.reliable != ReliableMode::kOff,
          .force_userspace_filter = false,
          .journal = kept};
}

FlowWants flow_wants(const Config& config) {
  FlowWants wants{flow_windows(config), false};
  for (const FlowLogConfig& log : config.flow_logs) {
    wants.untranslated = wants.untranslated || (log.on && log.resource.kind != FlowResource::Kind::kNat &&
                                                log.traffic != FlowTraffic::kReject);
  }
  return wants;
}

bool wants_refused(const Config& config) {
  return !config.reject_groups.empty() &&
         std::any_of(config.flow_logs.begin(), config.flow_logs.end(), [](const FlowLogConfig& log) {
           return log.on && log.traffic != FlowTraffic::kAccept &&
                  log.resource.kind != FlowResource::Kind::kNat;
         });
}

EventNeeds event_needs(const Config& config) {
  return {.configured = config.events,
          .records = config.records,
          .reliable = config.reliable,
          .ends_tell_state = destroy_has_tcp_state(kernel_release())};
}

std::vector<std::string> watched_namespaces(const Config& config) {
  return config.netns.empty() ? std::vector<std::string>{""} : config.netns;
}

Result<void> check_distinct(const std::vector<std::string>& namespaces) {
  std::vector<NamespaceIdentity> seen;
  for (const std::string& netns : namespaces) {
    const auto identity = NetworkNamespace::identify(netns);
    if (!identity) return identity.error();
    const auto twin = std::find(seen.begin(), seen.end(), *identity);
    if (twin != seen.end()) {
      return Error{ErrorKind::kUsage,
                   fmt::format("netns: \"{}\" and \"{}\" are the same network namespace: name it once",
                               namespaces[static_cast<std::size_t>(twin - seen.begin())], netns)};
    }
    seen.push_back(*identity);
  }
  return {};
}

namespace {

Finding what_auto_chooses(const Config& config, const TableGauge& table) {
  const EventChoice choice = choose_events(event_needs(config), table.sysctls().stamps_sessions());
  Finding finding{"--events auto", to_string(choice.groups), "", Finding::Level::kOk, "", ""};
  finding.meaning = in_words(choice.why);
  return finding;
}

ConntrackSource::Inherited take_of(const NamespaceIdentity& netns,
                                   std::vector<ConntrackSource::Inherited>& left) {
  const auto found = std::find_if(left.begin(), left.end(), [&](const auto& one) {
    const RegionOwner owner = one.region->owner();
    return owner.netns_device == netns.device && owner.netns_inode == netns.inode;
  });
  if (found == left.end()) return {};
  ConntrackSource::Inherited taken = std::move(*found);
  left.erase(found);
  return taken;
}

Result<void> open_for_flow_logs(const Config& config, const std::string& netns, KernelSetup& setup) {
  if (flow_windows(config).empty()) return {};
  auto interfaces = InterfaceRoutes::open(config, netns);
  if (!interfaces) return interfaces.error();
  setup.interfaces = std::move(*interfaces);
  if (!wants_refused(config)) return {};
  static const SystemClock clock;
  auto refused =
      RefusedReader::open({.groups = config.reject_groups, .receive_buffer = config.rcvbuf}, clock);
  if (!refused) return refused.error();
  setup.refused = std::move(*refused);
  auto names = InterfaceTable::open();
  if (!names) return names.error();
  setup.refused_names = std::move(*names);
  return {};
}

}  // namespace

Result<KernelSetup> set_up_kernel(const Config& config, const std::string& netns, Succession& succession) {
  auto inside = NetworkNamespace::enter(netns);
  if (!inside) return inside.error();
  KernelSetup setup;
  if (config.tune) {
    auto tuned = tune_sysctls();
    if (!tuned) return tuned.error();
    setup.tuned = std::move(*tuned);
  }

  const auto probe = probe_kernel();
  if (!probe) return probe.error();
  const auto identity = NetworkNamespace::identify("");
  if (!identity) return identity.error();
  setup.identity = *identity;
  auto source =
      ConntrackSource::open(source_options(config, succession.kept), take_of(*identity, succession.left));
  if (!source) return source.error();
  setup.source = std::move(*source);
  auto table = LiveSessions::open(config.nat, netns);
  if (!table) return table.error();
  setup.table = std::move(*table);
  if (auto opened = open_for_flow_logs(config, netns, setup); !opened) return opened.error();
  setup.findings = check_kernel({.probe = *probe,
                                 .release = kernel_release(),
                                 .buffer_asked = config.rcvbuf,
                                 .buffer_granted = setup.source->granted_receive_buffer(),
                                 .netns = netns});
  for (const Finding& finding : setup.findings) {
    if (finding.level != Finding::Level::kFailure) continue;
    const bool refused = probe->request_error != 0;
    return Error{refused ? ErrorKind::kPermission : ErrorKind::kUnavailable,
                 fmt::format("{}: {}: {}; {}", finding.name, finding.value, finding.meaning, finding.remedy)};
  }
  if (auto left = inside->leave(); !left) return left.error();
  return setup;
}

void tell_setup(const std::string& netns, const KernelSetup& setup) {
  const std::string where = netns.empty() ? "" : fmt::format("netns {}: ", netns);
  for (const SysctlChange& change : setup.tuned) {
    log_info(fmt::format("{}--tune: {} was {}, now {}; flows that exist already keep what they have", where,
                         change.name, change.before, change.after));
  }
  for (const Finding& finding : setup.findings) {
    if (finding.level != Finding::Level::kWarning) continue;
    log_warning(fmt::format("{}{} = {}: {}; {}", where, finding.name, finding.value, finding.meaning,
                            finding.remedy.substr(0, finding.remedy.find('\n'))));
  }
}

Result<std::vector<Finding>> examine_kernel(const Config& config, const std::string& netns) {
  auto inside = NetworkNamespace::enter(netns);
  if (!inside) return inside.error();
  if (config.tune) {
    if (auto tuned = tune_sysctls(); !tuned) return tuned.error();
  }
  const auto probe = probe_kernel();
  if (!probe) return probe.error();
  KernelCheckInput input;
  input.probe = *probe;
  input.release = kernel_release();
  input.netns = netns;
  if (const auto source = ConntrackSource::open(source_options(config, false))) {
    input.buffer_asked = config.rcvbuf;
    input.buffer_granted = (*source)->granted_receive_buffer();
  }
  auto findings = check_kernel(input);
  if (const auto table = TableGauge::open(); table && !config.events)
    findings.push_back(what_auto_chooses(config, *table));
  const auto ruleset = list_ruleset();
  for (Finding& finding : check_network({.ruleset = ruleset,
                          .nat = config.nat,
                          .reliable = config.reliable != ReliableMode::kOff,
                          .netns = netns}))
    findings.push_back(std::move(finding));
  for (Finding& finding : examine_flow_logs(config, ruleset)) findings.push_back(std::move(finding));
  if (auto left = inside->leave(); !left) return left.error();
  return findings;
}

std::string findings_text(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    const std::string_view level = finding.level == Finding::Level::kOk        ? "ok     "
                                   : finding.level == Finding::Level::kUnknown ? "unknown"
                                   : finding.level == Finding::Level::kWarning ? "WARNING"
                                                                               : "FAILURE";
    text += fmt::format("{}  {} = {}", level, finding.name, finding.value);
    if (is_lack(finding) && !finding.wanted.empty()) text += fmt::format(" (wanted: {})", finding.wanted);
    text += '\n';
    if (!finding.meaning.empty()) text += fmt::format("         {}\n", finding.meaning);
    std::string_view remedy = finding.remedy;
    while (!remedy.empty()) {
      const std::size_t end = remedy.find('\n');
      text += fmt::format("         => {}\n", remedy.substr(0, end));
      remedy = end == std::string_view::npos ? std::string_view() : remedy.substr(end + 1);
    }
  }
  return text;
}

}  // namespace natsession
