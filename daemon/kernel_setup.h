// What the daemon does in the watched network namespace before it gives up its privileges: --tune, --check,
// sockets.
// Threads: the main one, while it is the only one; also that of NamespaceOpener's process.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "conntrack/conntrack_source.h"
#include "conntrack/kernel_check.h"
#include "conntrack/network_namespace.h"
#include "interface_routes.h"
#include "live_sessions.h"
#include "nflog/refused_reader.h"
#include "session/flow_trackers.h"

namespace natsession {

struct KernelSetup {
  std::unique_ptr<ConntrackSource> source;  // not subscribed yet
  std::unique_ptr<LiveSessions> table;      // for questions about what is there now
  std::vector<Finding> findings;
  std::vector<SysctlChange> tuned;
  NamespaceIdentity identity;
  // Where a flow log is on that wants them; none otherwise.
  std::unique_ptr<InterfaceRoutes> interfaces;
  std::optional<RefusedReader> refused;
  std::optional<InterfaceTable> refused_names;
  std::optional<Settled> before;     // where the run before ended, whose events go on here
  std::chrono::milliseconds away{};  // since then
};

// What connects this run with those before and after it.
struct Succession {
  bool kept = false;                             // somebody keeps for the next one what this one leaves
  std::vector<ConntrackSource::Inherited> left;  // by runs before, of any namespaces
};

// Enters the namespace (empty: stays where it is), tunes it if asked to, opens the sockets, checks the
// kernel, and goes back. What was left of this namespace is taken.
// Errors: no such namespace, no permission, no conntrack; the message says which and what would do.
[[nodiscard]] Result<KernelSetup> set_up_kernel(const Config& config, const std::string& netns,
                                                Succession& succession);

// Says what was tuned, and what the log will lack.
void tell_setup(const std::string& netns, const KernelSetup& setup);

// How the sockets of `config` are opened; `kept` as in Succession.
[[nodiscard]] ConntrackOptions source_options(const Config& config, bool kept);

// What the flow logs that are on want to be told.
[[nodiscard]] FlowWants flow_wants(const Config& config);
// Whether one of them wants refused packets.
[[nodiscard]] bool wants_refused(const Config& config);

// Which events the log needs.
[[nodiscard]] EventNeeds event_needs(const Config& config);

// --check: like set_up_kernel(), but what is missing is a finding, and so is what else makes a log of this
// namespace poorer (conntrack/network_check.h). Nothing is left open.
[[nodiscard]] Result<std::vector<Finding>> examine_kernel(const Config& config, const std::string& netns);

// Each session of a namespace that is there under two names would be logged twice.
// Errors: kUsage, naming both; those of NetworkNamespace::identify().
[[nodiscard]] Result<void> check_distinct(const std::vector<std::string>& namespaces);

// The namespaces to watch, as set_up_kernel() takes them: never empty.
[[nodiscard]] std::vector<std::string> watched_namespaces(const Config& config);

// The findings as people read them.
[[nodiscard]] std::string findings_text(const std::vector<Finding>& findings);

}  // namespace natsession
