// How natsessiond and natsessionctl end: the same number for the same mistake. Users are told in both
// manuals.
// Threads: a plain function.
#pragma once

#include "base/result.h"

namespace natsession {

enum ExitStatus {
  kDone = 0,
  kFailed = 1,   // what was asked for could not be done, or failed on the way
  kUsage = 2,    // the command line or the configuration, or what it names is not there
  kMissing = 3,  // the daemon, the ledger, a permission or something of the kernel
};

[[nodiscard]] constexpr ExitStatus exit_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
      return kUsage;
    case ErrorKind::kPermission:
    case ErrorKind::kUnavailable:
      return kMissing;
    case ErrorKind::kIo:
    case ErrorKind::kMalformed:
      break;
  }
  return kFailed;
}

}  // namespace natsession
