// What the texts of a configuration have in common: they are checked before anything else looks at them.
// Threads: any.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace natsession {

// Values end up in records, in messages and in --print-config, so they must be UTF-8 and printable there.
// Errors: kUsage, if `text` is not UTF-8 or has a control character (C0, DEL or C1).
[[nodiscard]] Result<void> check_text(std::string_view text);

// `text` for a message: quoted, control characters and bytes outside ASCII as \xNN if it is not fit to be
// shown.
[[nodiscard]] std::string in_quotes(std::string_view text);

// A basic string of TOML. Control characters become escapes.
[[nodiscard]] std::string toml_string(std::string_view text);

// The name that was probably meant: the one that begins with `wanted`, or is few typing errors away.
// Leading dashes, case, and '-' against '_' do not count. Empty if none is near.
[[nodiscard]] std::string_view nearest(std::string_view wanted, std::span<const std::string> known);

}  // namespace natsession
