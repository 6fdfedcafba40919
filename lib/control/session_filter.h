// SessionFilter: which live sessions are asked for. Every condition that is set must hold.
// Threads: a plain value type and pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "control/status.h"
#include "http/http_message.h"

namespace natsession {

struct SessionFilter {
  static constexpr std::size_t kDefaultLimit = 1000;
  static constexpr std::size_t kMaxPorts = 1000;
  static constexpr std::size_t kMaxLimit = 100'000;  // 40 MB of JSON

  std::optional<std::string> netns;
  std::optional<std::uint8_t> protocol;
  std::optional<Prefix> pri_ip;
  std::optional<Prefix> nat_ip;
  std::optional<Prefix> pub_ip;
  std::optional<std::uint16_t> pri_port;
  std::vector<std::uint16_t> nat_ports;  // any of them, ascending; empty: all
  std::optional<std::uint16_t> pub_port;
  std::size_t limit = kDefaultLimit;  // 1 to kMaxLimit
  bool recorded =
      false;  // the answer waits for the ledger to have what ended before, and says whether it has

  [[nodiscard]] bool matches(const SessionRecord& session) const;
};

// Reads the arguments of GET /sessions: the members' names, with addresses or prefixes, numbers, and for the
// protocol a name or a number; of nat_port several, with commas; recorded=yes.
// Errors: kUsage, naming the argument, its value and what would do; also for one that is unknown or given
// twice.
[[nodiscard]] Result<SessionFilter> parse_session_filter(const QueryArguments& arguments);

}  // namespace natsession
