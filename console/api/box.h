// Box: a machine whose log the console shows: a ledger or a store, and the control socket of its daemon.
// Threads: a plain value type.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace natsession::console {

struct Box {
  std::string name;
  std::string ledger;   // a directory; empty: the daemon's own
  std::string store;    // a URL, instead of a ledger
  std::string control;  // a path; empty: there is no daemon to ask

  // What stands before a command of natsessionctl.
  [[nodiscard]] std::vector<std::string> options() const;
};

// From what was given as --ledger, --store and --control: "PATH" or "NAME=PATH". Those of one name are one
// box; of those without a name the first --control belongs to the first --ledger or --store, and so on.
// Without any, it is the daemon of this machine.
// Errors: kUsage, naming what is given twice, or has no box.
[[nodiscard]] Result<std::vector<Box>> boxes_of(const std::vector<std::string>& ledgers,
                                                const std::vector<std::string>& stores,
                                                const std::vector<std::string>& controls,
                                                const std::string& own_name);

}  // namespace natsession::console
