// What stands in the JSON that a service answers with.
// Threads: any; pure functions.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace natsession {

// The text at the end of a path of members, or the digits of a number there. Nothing: it is no JSON, has no
// such member, or something else stands there.
[[nodiscard]] std::optional<std::string> json_text(std::string_view json,
                                                   std::initializer_list<std::string_view> path);

}  // namespace natsession
