// Deletes all that the log of assignments says of a subscriber, for somebody who has a right to it: by asking
// the daemon that writes the log, with a file in its directory that IdentityWriter::tidy() takes up, or
// without a daemon by itself. What is deleted is written nowhere any more when this returns; a disk may keep
// bytes that no file has, and a copy of the ledger keeps what it has.
// Threads: any.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "identity/identity_tidy.h"

namespace natsession {

struct Forgotten {
  ForgetReport report;
  bool by_daemon = false;
};

// `wait`: asked about ten times a second while the daemon is at it; false: no longer.
// Errors: kUnavailable: there is no log, or nobody waits any longer (the daemon does it all the same);
// kPermission, kIo.
[[nodiscard]] Result<Forgotten> forget_subscriber(const std::string& ledger, const std::string& subscriber,
                                                  UnixMs now, const std::function<bool()>& wait);

// Until when it may be that something was deleted on request; UnixMs::min(): nothing was.
[[nodiscard]] UnixMs forgotten_until(const IdentityDirectory& directory);

// Names of files in the directory.
inline constexpr std::string_view kForgottenFile = "forgotten";
inline constexpr std::string_view kForgetRequest = ".forget";  // what a request's name ends with
inline constexpr std::string_view kForgetAnswer = ".answer";

}  // namespace natsession
