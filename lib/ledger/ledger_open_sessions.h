// What a ledger tells of the sessions that had not ended when its writer stopped: where the next one goes on.
// Threads: any; no state is kept.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "record/open_sessions.h"

namespace natsession {

// By the name of the network namespace in their records. Only frames that reach to `from` or later are looked
// into, and of these only records of sessions that have more than one.
// Errors: kUnavailable if there is no ledger at `directory`; kPermission, kIo. What is damaged is passed
// over.
[[nodiscard]] Result<std::map<std::string, OpenSessions>> read_open_sessions(const std::string& directory,
                                                                             UnixMs from);

}  // namespace natsession
