// Names of IP protocols, as nf_conntrack's trackers and people have them.
// Threads: any; pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace natsession {

// "tcp" for 6, and so on; empty for a protocol that conntrack has no tracker of its own for.
[[nodiscard]] std::string_view protocol_name(std::uint8_t protocol);
// The name, else the number.
[[nodiscard]] std::string protocol_text(std::uint8_t protocol);
// Reads a name of protocol_name(), in capitals or not, or a number up to 255.
// Errors: kUsage, naming the text and what would do.
[[nodiscard]] Result<std::uint8_t> parse_protocol(std::string_view text);

}  // namespace natsession
