// The files that a file sink has rotated away, as the directory shows them. For the sink's PATH:
//
//   PATH.20261121T143422Z       rotated at that time, UTC
//   PATH.20261121T143422Z.2     the third in that second (after the bare one and .1)
//   PATH.20261121T143422Z.zst   compressed: .gz or .zst behind either
//
// Nothing but these names is ever compressed or removed.
// Threads: any; each call looks at the directory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace natsession {

struct RotatedFile {
  std::string path;  // without the suffix of a compressed one
  bool plain = false;
  bool gzip = false;
  bool zstd = false;
};

// The oldest first.
// Errors: when the directory cannot be read.
[[nodiscard]] Result<std::vector<RotatedFile>> list_rotated(const std::string& path);

// A name for `path` rotated at `now`, behind all others of that second.
[[nodiscard]] Result<std::string> name_rotated(const std::string& path, UnixNs now);

}  // namespace natsession
