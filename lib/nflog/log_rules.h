// Which NFLOG groups a firewall's rules log to, as its own listings tell.
// Threads: any; pure functions, but list_legacy_rules(), which runs a program.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace natsession {

// What was seen of one group.
struct LogRules {
  enum class Seen : std::uint8_t {
    kRule,     // a rule logs to it
    kNone,     // all rules could be read, and none does
    kUnknown,  // none that could be read does, but not all could
  };
  std::uint16_t group = 0;
  Seen seen = Seen::kUnknown;
  std::size_t rules = 0;  // of kRule: how many
};

// For each of `groups` what the listings say.
// Shape:  `nft` as `nft list ruleset` prints it, `legacy` as `iptables-save` does; an error is a listing that
//         could not be had. Empty text: there are no rules of that kind.
[[nodiscard]] std::vector<LogRules> find_log_rules(std::span<const std::uint16_t> groups,
                                                   const Result<std::string>& nft,
                                                   const Result<std::string>& legacy);

// The rules of legacy iptables and ip6tables in the network namespace of the calling thread; empty where the
// kernel has no such tables.
// Errors: kUnavailable if there are tables, and no program that shows them.
[[nodiscard]] Result<std::string> list_legacy_rules();

}  // namespace natsession
