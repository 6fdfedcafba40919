// What the user chooses about the log: which sessions, which records, which windows.
// Threads: plain value types.
#pragma once

#include <chrono>
#include <cstdint>

namespace natsession {

// Which sessions are logged, by the status word of the flow.
enum class NatSelection : std::uint8_t {
  kSnat,  // IPS_SRC_NAT
  kDnat,  // IPS_DST_NAT
  kAny,   // either
  kAll,   // these, and flows that are not translated: for flow logs alone
};

// Which records a session gets.
enum class RecordMode : std::uint8_t {
  kWindow,    // an interim record for each window with traffic, and one at the end
  kEnd,       // one record, at the end
  kStartEnd,  // one at the beginning, one at the end
};

// Whether the kernel keeps DESTROY events that it could not queue and sends them again.
enum class ReliableMode : std::uint8_t {
  kAuto,  // yes, but not while that fills the conntrack table
  kOn,    // always
  kOff,   // never: what does not fit is lost, and counted
};

inline constexpr unsigned kDefaultGuardPercent = 80;

// Which groups of conntrack events are subscribed to.
struct EventGroups {
  bool new_ = true;
  bool update = true;
  bool destroy = true;
  friend bool operator==(const EventGroups&, const EventGroups&) = default;
};

inline constexpr std::chrono::milliseconds kMinWindow = std::chrono::seconds(1);
inline constexpr std::chrono::milliseconds kMaxWindow = std::chrono::hours(24);

}  // namespace natsession
