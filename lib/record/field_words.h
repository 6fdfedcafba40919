// What each field is, in words: for those who ask the log with SQL. The meanings are those of FORMAT.md; a
// test compares them.
// Threads: any; constants.
#pragma once

#include <string_view>

#include "record/fields.h"

namespace natsession {

// "bytes", "packets", "Unix seconds"; empty for what has no unit.
[[nodiscard]] std::string_view unit_of(Field field);
[[nodiscard]] std::string_view meaning_of(Field field);

}  // namespace natsession
