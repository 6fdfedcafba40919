// TableGuard: decides when reliable mode goes off so that the conntrack table cannot fill. In reliable mode
// the kernel keeps every flow whose DESTROY it could not queue, and such flows count against
// nf_conntrack_max; a full table drops new connections. Forwarding comes before logging.
// Threads: one. A plain state machine: it is told what is, and says what to do.
#pragma once

#include <cstdint>

#include "session/settings.h"

namespace natsession {

struct TableUsage {
  std::uint64_t count = 0;  // nf_conntrack_count of the watched namespace
  std::uint64_t max = 0;    // nf_conntrack_max; 0: no limit
};

class TableGuard {
 public:
  // Goes off above `off_percent` of the table, and on again below three quarters of that (80 and 60 by
  // default).
  TableGuard(ReliableMode mode, unsigned off_percent)
      : mode_(mode),
        off_percent_(off_percent),
        on_percent_(off_percent * 3 / 4),
        reliable_(mode != ReliableMode::kOff) {}

  // Whether the socket is to be in reliable mode, now that the table is so full. `delaying`: DESTROY events
  // did not fit since the queue was last empty; a table that is full of live flows is not this logger's
  // doing.
  bool decide(const TableUsage& usage, bool delaying) {
    if (mode_ != ReliableMode::kAuto || usage.max == 0) return reliable_;
    const std::uint64_t filled = usage.count * 100;
    if (reliable_ && delaying && filled > usage.max * off_percent_) reliable_ = false;
    if (!reliable_ && filled < usage.max * on_percent_) reliable_ = true;
    return reliable_;
  }
  [[nodiscard]] bool reliable() const { return reliable_; }
  // Only in kAuto is the table worth looking at.
  [[nodiscard]] bool watches() const { return mode_ == ReliableMode::kAuto; }

 private:
  ReliableMode mode_;
  unsigned off_percent_;
  unsigned on_percent_;
  bool reliable_;
};

}  // namespace natsession
