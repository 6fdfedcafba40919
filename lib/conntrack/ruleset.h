// What nft's rules say of a NAT box: which of them translate, and what keeps sessions from a full log.
// Threads: any, each in its own namespace.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace natsession {

struct Ruleset {
  std::size_t source_rules = 0;                   // masquerade, snat; also those of iptables-nft
  std::size_t destination_rules = 0;              // dnat, redirect
  std::vector<std::string> uncounted_flowtables;  // "inet filter f": without `counter`
  std::size_t counted_flowtables = 0;
  std::vector<std::string>
      helpers;  // that rules assign: "ftp"; of xtables' CT target the name is not told: "CT"

  // Shape:  `text` as `nft list ruleset` prints it. What is not known is passed over.
  [[nodiscard]] static Ruleset read(std::string_view text);
};

// Runs `nft list ruleset` in the network namespace of the calling thread.
// Errors: kUnavailable if there is no nft here, or it may not or cannot list them: its own words.
[[nodiscard]] Result<std::string> list_ruleset();

}  // namespace natsession
