// The state file: what was reported of sessions that were open when the daemon stopped, so that after a
// restart their records go on where they stopped, and the time in between is told as a gap.
//
// Shape:  text, one line each:
//           natsessiond-state 1 BOOT_ID STOPPED_MS
//           PROTOCOL ZONE ID MARK STATUS TCP_STATE FLAGS BEGIN_MS  SRC SPORT DST DPORT  SRC SPORT DST DPORT
//           HISTORY end COUNT
//         HISTORY is '-' or SEQ UNTIL_MS BYTES PACKETS BYTES PACKETS; the tuples are the original and the
//         reply one. BOOT_ID names the boot and the network namespace: conntrack ids mean nothing in another.
// Threads: any; no state is kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "session/tracker.h"

namespace natsession {

struct SessionState {
  UnixMs stopped;
  std::vector<Tracker::Saved> sessions;
};

// Writes a new file beside `path` and renames it, so that there is a whole file or none.
// Errors: the cause, with the path; an old file then stays.
Result<void> write_state_file(const std::string& path, std::string_view boot_id, UnixMs stopped,
                              Tracker& tracker);

// Reads the file, if there is one that was written under `boot_id`.
// Errors: kMalformed, with path and line, when it is not a whole state file; kPermission or kIo when it
// cannot be read.
[[nodiscard]] Result<std::optional<SessionState>> read_state_file(const std::string& path,
                                                                  std::string_view boot_id);

// The running boot and the calling thread's network namespace, as one word.
[[nodiscard]] std::string current_boot_id();

}  // namespace natsession
