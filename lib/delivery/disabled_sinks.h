// The sinks that were disabled at run time, as a file: one name a line. It is replaced as a whole, so it is
// always one state or the other.
// Threads: any; one at a time for one file.
#pragma once

#include <set>
#include <string>

#include "base/result.h"

namespace natsession {

using SinkNames = std::set<std::string, std::less<>>;

// No file is no names.
// Errors: kPermission, kIo with the path.
[[nodiscard]] Result<SinkNames> read_disabled_sinks(const std::string& path);

// On the disk when it returns.
// Errors: kUsage if a name holds a newline; kPermission, kIo with the path: the old file stands.
Result<void> write_disabled_sinks(const std::string& path, const SinkNames& names);

}  // namespace natsession
