// Frames of version 1, as builds before the first release wrote them: up to 16,384 records in the order of
// their ordinals, column by column. They are read whole, and become frames of today: nobody else knows that
// there were others. FORMAT_1.md gives the bytes.
// Threads: any.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace natsession {

// Appends a frame of today's version with the same records and ordinals.
// Shape:  `frame` is exactly one frame, of which parse_frame_header() has said that it is of version 1.
// Errors: kMalformed, saying what. `out` is then unchanged.
[[nodiscard]] Result<void> convert_frame_of_version_1(std::span<const std::byte> frame, std::string& out);

}  // namespace natsession
