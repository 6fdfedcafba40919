// LiveLog: the sessions that are open now, as the daemon knows them, for questions that the ledger alone
// cannot answer: a session that is open and silent has no record yet.
// Threads: one.
#pragma once

#include <string>
#include <vector>

#include "command.h"
#include "control/session_filter.h"

namespace natsession::ctl {

struct LiveLog {
  std::vector<SessionRecord> records;  // as in SessionsAnswer; session_id is 0
  UnixMs at;                           // when the daemon was asked
  bool told = false;                   // whether there is a daemon that writes this ledger
  bool more = false;                   // it has more sessions than it tells at once
  std::string why;                     // if not told: why; for people
};

// Asks the daemon for open sessions that pass the arguments of GET /sessions; the limit is the largest that
// it has. That no daemon runs, or that it writes another ledger than --ledger, is no error: see `why`.
[[nodiscard]] LiveLog ask_live(const Global& global, QueryArguments arguments);

}  // namespace natsession::ctl
