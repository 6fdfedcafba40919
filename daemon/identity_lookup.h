// IdentityLookup: whose records are, for sinks that ask: by what the keeper has in memory, and of a time that
// it does not remember any more, as when a sink was away for hours, by the log.
// Threads: any.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/guarded.h"
#include "base/time.h"
#include "identity/identity_keeper.h"
#include "identity/identity_reader.h"
#include "record/subscriber.h"

namespace natsession {

class IdentityLookup final : public SubscriberLookup {
 public:
  // `ledger`: its directory. `clock` outlives it.
  IdentityLookup(std::shared_ptr<const IdentityKeeper> keeper, std::string ledger, const Clock& clock)
      : keeper_(std::move(keeper)), ledger_(std::move(ledger)), clock_(clock) {}
  void find(const SessionRecord& record, Subscriber& out) const override;
  void find_all(std::span<const SessionRecord> records, std::span<Subscriber> out) const override;

 private:
  // What the log says of addresses, each hour by itself.
  struct Past {
    std::unique_ptr<IdentityReader> reader;
    std::chrono::nanoseconds opened{};  // steady
    std::unordered_map<std::string, std::vector<AddressAssignment>> known;
  };
  void find_the_past(const SessionRecord& record, Subscriber& out) const;
  [[nodiscard]] Subscriber find_in_the_log(const SessionRecord& record) const;
  [[nodiscard]] bool open(Past& past) const;

  const std::shared_ptr<const IdentityKeeper> keeper_;
  const std::string ledger_;
  const Clock& clock_;
  mutable Guarded<Past> past_;
};

}  // namespace natsession
