// The log of assignments beside the ledger that is asked, and what answers say of it. Whoever is told names
// by it is written to the system's log first (authpriv).
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "command.h"
#include "query/subscriber_names.h"

namespace natsession::ctl {

class IdentityAccess {
 public:
  // Of the ledger that commands ask. That there is no such log, or none that can be asked, is no error.
  [[nodiscard]] static IdentityAccess open(const Global& global);

  // Nobody ever told who has an address, or a store is asked: answers say nothing of it then.
  [[nodiscard]] bool absent() const { return names_ == nullptr && hidden_.empty(); }
  [[nodiscard]] SubscriberNames* names() const { return names_.get(); }
  // Why names are not shown though there are some; else empty.
  [[nodiscard]] const std::string& hidden() const { return hidden_; }
  // The same as an error, for a command that is about names alone.
  [[nodiscard]] Error error() const { return error_; }

 private:
  std::unique_ptr<SubscriberNames> names_;
  std::string hidden_;
  Error error_;
};

// On stderr, what of the log of assignments could not be read.
void warn_of_damage(std::string_view command, const IdentityAccess& access);

// What of an answer is shown beside something else, in a few words: "alice", "alice or bob", "nobody"; and in
// one cell each: who, verdict, source, from, until, why. Of several holders they stand behind each other.
struct SubscriberCells {
  std::string subscriber, verdict, source, from, until, why;
};
[[nodiscard]] SubscriberCells subscriber_cells(const IdentityAnswer& answer);
// "alice: lease of 192.168.1.23 by dnsmasq:…, from … to …; …": a line for each holder; of none why.
[[nodiscard]] std::vector<std::string> subscriber_lines(const IdentityAnswer& answer);
// One object of JSON.
[[nodiscard]] std::string subscriber_json(const IdentityAnswer& answer);
[[nodiscard]] std::string assignment_json(const AddressAssignment& assignment);
// `hidden`, as subscriber_json() has it.
[[nodiscard]] std::string hidden_subscriber_json(const std::string& why);

}  // namespace natsession::ctl
