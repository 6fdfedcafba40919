// Replaces a file as a whole: whoever looks finds the old one or the new one, also after the machine fell.
// Threads: any; two at once on one file are not kept apart.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace natsession {

// The file `name` in `directory` becomes `parts`, one behind the other, with mode 0640; on the disk when it
// returns.
// Errors: kPermission, kIo with the path; the old file then stays.
Result<void> replace_file(const std::string& directory, const std::string& name,
                          std::span<const std::string_view> parts);

}  // namespace natsession
