// Config: what natsessiond was told to do, checked and typed, whichever way it was told.
// Threads: plain value types.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_count.h"
#include "config/flow_log_config.h"
#include "identity/source_url.h"
#include "net/host_port.h"
#include "record/encoder.h"
#include "session/settings.h"
#include "session/vpc_map.h"
#include "sink/registry.h"

namespace natsession {

// The least important of the daemon's own messages that are still written.
enum class LogLevel : std::uint8_t { kError, kWarning, kInfo, kDebug };

// When what arrived is written to the ledger and forced to disk.
struct Sync {
  enum class Mode : std::uint8_t { kInterval, kAlways, kNever };
  Mode mode = Mode::kInterval;
  std::chrono::milliseconds interval{1000};  // kInterval only
  friend bool operator==(const Sync&, const Sync&) = default;
};

// Where the configuration says which interface an address is at.
struct InterfaceRule {
  std::string interface;
  Prefix prefix;
  friend bool operator==(const InterfaceRule&, const InterfaceRule&) = default;
};

// Every member is the option of the same name (options.cc, with its range); the values here are the defaults.
struct Config {
  std::vector<SinkConfig> sinks{
      *SinkConfig::parse("stdout")};  // no destination twice; empty only with a ledger
  RecordFormat format = RecordFormat::kJson;
  TimeFormat time_format = TimeFormat::kUnix;
  FieldSet fields = FieldSet::kAll;

  NatSelection nat = NatSelection::kSnat;
  RecordMode records = RecordMode::kWindow;
  std::chrono::milliseconds window = std::chrono::minutes(10);
  std::string instance;  // default: the host's name
  std::vector<VpcRule> vpc_rules;

  std::optional<EventGroups> events = EventGroups();  // none: those that are needed
  std::vector<std::string> netns;  // names or paths; empty: the namespace that the daemon was started in
  ByteCount rcvbuf{64ULL << 20};
  ReliableMode reliable = ReliableMode::kAuto;
  unsigned guard_percent = kDefaultGuardPercent;  // of nf_conntrack_max
  bool tune = false;

  std::string ledger;  // a directory; empty: a bounded queue in memory
  std::chrono::milliseconds retention = std::chrono::hours(24 * 30);
  ByteCount ledger_max{20ULL << 30};
  Sync sync;
  std::size_t batch = 1000;  // records
  ByteCount batch_bytes{1ULL << 20};
  std::chrono::milliseconds linger{1000};
  std::chrono::milliseconds suspend = std::chrono::minutes(5);

  std::vector<FlowLogConfig> flow_logs;
  unsigned flow_log_max = kUsualFlowLogs;
  std::uint32_t flow_entries = 400'000;  // of an interface in ten minutes
  std::vector<InterfaceRule> interface_rules;
  std::vector<std::uint16_t> reject_groups;  // of NFLOG
  std::uint32_t reject_flows = 200'000;      // that are added up at once, of a window
  std::string account_id;                    // what a cloud's flow logs have, and this box cannot know
  std::string region_id;
  std::string az_id;
  std::vector<std::pair<std::string, std::string>> interface_ids;  // an interface, its id
  FlowIds::ByPrefix network_ids;
  FlowIds::ByPrefix vm_ids;

  std::vector<IdentityUrl> identity;                                      // sources; needs a ledger
  std::chrono::milliseconds identity_keep = std::chrono::hours(24 * 30);  // what ended so long ago is deleted
  std::string identity_group;  // who may read whose addresses were; empty: the daemon's user alone
  std::string pseudonyms;      // the file with the key; empty: no sink has any

  std::string handover;             // the path at which the next process takes over; empty: none
  std::string user;                 // whom to go on as; empty: natsession, if started as root and it exists
  std::string control;              // the path of the control socket; empty: none
  std::string control_group;        // who may read; empty: natsession, where there is one
  std::string steer_group;          // who may change something as well; empty: root alone
  std::optional<HostPort> metrics;  // none: only on the control socket
  LogLevel log_level = LogLevel::kInfo;

  friend bool operator==(const Config&, const Config&) = default;
};

// The windows of flow logs that are on, each once.
[[nodiscard]] inline std::vector<std::chrono::seconds> flow_windows(const Config& config) {
  std::vector<std::chrono::seconds> windows;
  for (const FlowLogConfig& log : config.flow_logs) {
    if (log.on && std::find(windows.begin(), windows.end(), log.window) == windows.end())
      windows.push_back(log.window);
  }
  return windows;
}

inline constexpr std::size_t kMaxNamespaces = 64;  // each has a thread and a receive buffer
inline constexpr std::size_t kMaxIdentitySources = 32;
inline constexpr std::size_t kMaxSinks = 32;       // each has a thread
inline constexpr std::size_t kMaxVpcRules = 1024;  // each is tried for a session that is new

}  // namespace natsession
