// Config: what natsessiond was told to do, checked and typed, whichever way it was told.
// Threads: plain value types.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/byte_count.h"
#include "record/encoder.h"
#include "session/settings.h"

namespace natsession {

// The least important of the daemon's own messages that are still written.
enum class LogLevel : std::uint8_t { kError, kWarning, kInfo, kDebug };

// Every member is the option of the same name (options.h); the values here are the defaults.
struct Config {
  std::vector<std::string> sinks{"stdout"};  // URLs, no destination twice; empty only with a ledger
  RecordFormat format = RecordFormat::kJson;
  TimeFormat time_format = TimeFormat::kUnix;
  FieldSet fields = FieldSet::kAll;

  NatSelection nat = NatSelection::kSnat;
  RecordMode records = RecordMode::kWindow;
  std::chrono::milliseconds window = std::chrono::minutes(10);  // kMinWindow to kMaxWindow
  std::string instance;                                         // default: the host's name
  std::vector<std::string> vpc_ids;                             // rules "[PREFIX=]ID", as they were given

  EventGroups events;
  std::vector<std::string> netns;  // names or paths; empty: the namespace that the daemon was started in
  ByteCount rcvbuf{64ULL << 20};
  ReliableMode reliable = ReliableMode::kAuto;
  unsigned guard_percent = kDefaultGuardPercent;  // kMinGuardPercent to kMaxGuardPercent, of nf_conntrack_max
  bool tune = false;

  std::string ledger;  // a directory; empty: a bounded queue in memory
  std::chrono::milliseconds retention = std::chrono::hours(24 * 30);
  ByteCount ledger_max{20ULL << 30};
  std::string sync = "1s";   // always, never, or a time: how often what arrived is written
  std::size_t batch = 1000;  // records
  ByteCount batch_bytes{1ULL << 20};
  std::chrono::milliseconds linger{1000};
  std::chrono::milliseconds suspend = std::chrono::minutes(5);

  std::string control;     // the path of the control socket; empty: none
  std::string metrics;     // HOST:PORT; empty: only on the control socket
  std::string state_file;  // empty: nothing is remembered over a restart
  LogLevel log_level = LogLevel::kInfo;

  friend bool operator==(const Config&, const Config&) = default;
};

inline constexpr ByteCount kMinRcvbuf{4ULL << 10};
inline constexpr ByteCount kMaxRcvbuf{2ULL << 30};
inline constexpr unsigned kMinGuardPercent = 10;
inline constexpr unsigned kMaxGuardPercent = 99;
inline constexpr std::chrono::milliseconds kMinRetention = std::chrono::minutes(1);
inline constexpr std::chrono::milliseconds kMaxRetention = std::chrono::hours(24 * 3660);
inline constexpr ByteCount kMinLedgerMax{16ULL << 20};
inline constexpr std::chrono::milliseconds kMinSync{10};
inline constexpr std::chrono::milliseconds kMaxSync{60'000};
inline constexpr std::size_t kMaxBatch = 16'384;
inline constexpr ByteCount kMinBatchBytes{4ULL << 10};
inline constexpr ByteCount kMaxBatchBytes{64ULL << 20};
inline constexpr std::chrono::milliseconds kMaxLinger = std::chrono::minutes(1);
inline constexpr std::chrono::milliseconds kMinSuspend = std::chrono::seconds(1);
inline constexpr std::chrono::milliseconds kMaxSuspend = std::chrono::hours(24);
inline constexpr std::size_t kMaxInstanceLength = 255;  // bytes
inline constexpr std::size_t kMaxNamespaces = 64;       // each has a thread and a receive buffer
inline constexpr std::size_t kMaxSinks = 32;            // each has a thread
inline constexpr std::size_t kMaxVpcRules = 1024;       // each is tried for a session that is new

// The keys of the settings that differ, in the order of the option table: what SIGHUP changed.
[[nodiscard]] std::vector<std::string> settings_that_differ(const Config& a, const Config& b);

}  // namespace natsession
