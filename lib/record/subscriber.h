// Whose an address was, as far as records of sinks say it; and who can tell.
// Threads: plain value types; a SubscriberLookup any.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/short_text.h"
#include "base/time.h"
#include "record/session_record.h"

namespace natsession {

// Empty: not known.
struct Subscriber {
  ShortText subscriber, mac, host;
  [[nodiscard]] bool known() const { return !subscriber.empty() || !mac.empty() || !host.empty(); }
  void clear() {
    subscriber.clear();
    mac.clear();
    host.clear();
  }
};

class SubscriberLookup {
 public:
  virtual ~SubscriberLookup() = default;
  // Who had the record's pri_ip at its end; or where that one had it only since the record's begin, who had
  // it then: a session that outlives a lease is its old holder's. Nothing is known of a time in which no
  // source was followed.
  // `out` becomes that.
  virtual void find(const SessionRecord& record, Subscriber& out) const = 0;
  // find() of each of at most kMostTogether into the place of `out` that it has in `records`; there are no
  // more of these than places.
  static constexpr std::size_t kMostTogether = 32;
  virtual void find_all(std::span<const SessionRecord> records, std::span<Subscriber> out) const {
    for (std::size_t i = 0; i < records.size(); ++i) find(records[i], out[i]);
  }
};

}  // namespace natsession
