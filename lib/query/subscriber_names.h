// SubscriberNames: whose sessions are, by the log of assignments beside a ledger. A session is its holder's
// at its beginning, also where it outlives the lease.
// Threads: any; a look-up of an address and time that were asked for before takes a lock of its part alone.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/seeded_hash.h"
#include "identity/identity_reader.h"
#include "record/session_record.h"

namespace natsession {

class SubscriberNames {
 public:
  explicit SubscriberNames(std::unique_ptr<IdentityReader> reader);

  // What a session's holder may be. Its beginning is of this box's own clock: so where somebody certainly had
  // the address then, he alone is named, and else those whose assignment began or ended within `slack`. Where
  // the beginning is not known it lies between `earliest` and `seen`; else `seen` is it.
  [[nodiscard]] IdentityAnswer of_session(const IpAddress& pri_ip, std::string_view netns, UnixMs earliest,
                                          UnixMs seen, std::chrono::milliseconds slack);

  // In one word, for sums over many records: the subscriber who certainly was it, "(uncertain)" where
  // somebody may have been, "(nobody)", or "(not known)". Valid as long as this object; equal texts have one
  // address.
  [[nodiscard]] std::string_view label(const IpAddress& pri_ip, std::string_view netns, UnixMs begun);
  [[nodiscard]] std::string_view label_of(const SessionRecord& record) {
    return label(record.pri_ip, record.origin == nullptr ? std::string_view() : record.origin->netns,
                 record.session_start.value_or(record.start_time));
  }
  // The one of an equal text.
  [[nodiscard]] std::string_view intern(std::string_view text);

  [[nodiscard]] IdentityReader& reader() { return *reader_; }
  // What was found damaged so far.
  [[nodiscard]] std::vector<IdentityDamage> damage();

 private:
  // The same label from `from` to the millisecond before `until`.
  struct Piece {
    std::int64_t from = 0, until = 0;
    std::string_view label;
  };
  struct Part {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<Piece>> pieces;  // by address and namespace
    std::size_t count = 0;
  };
  Piece piece_at(const IpAddress& pri_ip, std::string_view netns, UnixMs begun);

  std::mutex mutex_;  // of the reader and the texts
  std::unique_ptr<IdentityReader> reader_;
  std::unordered_set<std::string> texts_;
  std::array<Part, 16> parts_;
};

inline constexpr std::string_view kUncertainSubscriber = "(uncertain)";
inline constexpr std::string_view kNoSubscriber = "(nobody)";
inline constexpr std::string_view kUnknownSubscriber = "(not known)";

}  // namespace natsession
