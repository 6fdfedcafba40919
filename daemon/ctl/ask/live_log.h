// LiveLog: the sessions that are open now, as the daemon knows them, for questions that the ledger alone
// cannot answer: a session that is open and silent has no record yet.
// Threads: one.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "command.h"
#include "control/session_filter.h"
#include "query/port_report.h"

namespace natsession::ctl {

struct LiveLog {
  std::vector<SessionRecord> records;  // event interim; they point to `origins`; session_id is 0
  std::deque<Origin> origins;
  UnixMs at;          // when the daemon was asked
  bool told = false;  // whether there is a daemon that writes this ledger
  bool more = false;  // it has more sessions than it tells at once
  std::string why;    // if not told: why; for people
};

// Asks the daemon for open sessions that pass the arguments of GET /sessions; the limit is the largest that
// it has. That no daemon runs, or that it writes another ledger than --ledger, is no error: see `why`.
[[nodiscard]] LiveLog ask_live(const Global& global, QueryArguments arguments);

[[nodiscard]] std::vector<LivePort> live_ports(const LiveLog& live);

}  // namespace natsession::ctl
