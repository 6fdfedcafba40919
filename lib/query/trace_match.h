// What a trace question says, beside a record: of the time, and of the peer.
// Threads: any.
#pragma once

#include <cstdint>

#include "query/trace.h"

namespace natsession {

// A time that a session may meet; both ends belong to it.
struct Span {
  std::int64_t from = 0;
  std::int64_t until = 0;
};
// Time arithmetic that stays within what UnixMs can say.
[[nodiscard]] std::int64_t ms_of(UnixMs time);
[[nodiscard]] std::int64_t plus(std::int64_t ms, std::chrono::milliseconds more);
// How far a time lies outside another; 0 if they meet.
[[nodiscard]] std::int64_t distance_of(const Span& a, const Span& b);

struct PeerMatch {
  bool address = false;  // the question named it, and it is this one's
  bool port = false;
  bool differs = false;  // the question named it, and it is another
};
[[nodiscard]] PeerMatch match_peer(const TraceQuestion& question, const SessionRecord& record);

}  // namespace natsession
