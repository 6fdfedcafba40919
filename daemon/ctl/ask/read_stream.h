// Threads: one.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

namespace natsession::ctl {

// What a stream has, to its end, to an error (std::ferror) or to just above `limit` bytes, whichever is
// first: more than `limit` is too much.
[[nodiscard]] std::string read_stream(std::FILE* file, std::size_t limit);

}  // namespace natsession::ctl
