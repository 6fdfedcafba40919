// ProvedRecords: what of a log's claims holds for a destination as well, since it was given all records that
// they rest on. A claim that is ahead of these waits for them, and no newer one is looked at meanwhile: the
// newest is always a moment ahead.
// Threads: one, the consumer's.
#pragma once

#include <vector>

#include "delivery/log_reader.h"
#include "ledger/cursor.h"

namespace natsession {

class ProvedRecords {
 public:
  // For a destination that stands at `place`; cut to what is known to be complete there.
  [[nodiscard]] std::vector<Coverage> due(const LogReader& log, const CursorState& place);
  // Those of the last due() have arrived.
  void told();

 private:
  void look(const LogReader& log, const CursorState& place);

  std::vector<CoverageClaim> waiting_;  // looked at, and not told
  std::vector<Coverage> due_;
  std::vector<Coverage> told_;  // the newest of each namespace and beginning
};

}  // namespace natsession
