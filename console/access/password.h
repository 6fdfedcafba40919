// Passwords are kept as libcrypt's hashes (yescrypt), as /etc/shadow has them: crypt(5).
// Threads: any; a hash takes tens of milliseconds and 16 MiB on purpose.
#pragma once

#include <string>

#include "base/result.h"

namespace natsession::console {

// Errors: kUsage if it is empty or longer than the library takes (511 bytes).
[[nodiscard]] Result<std::string> hash_password(const std::string& password);

// In as much time where `hash` is no hash.
[[nodiscard]] bool password_matches(const std::string& password, const std::string& hash);

}  // namespace natsession::console
