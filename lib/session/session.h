// Session: what the tracker remembers of a live flow, and History: what only a flow with records behind it
// needs. Both are packed: at a million sessions every byte is a megabyte.
// Threads: plain value types, owned by the collector's thread.
#pragma once

#include "session/flow_key.h"

namespace natsession {

// A start from an event is its receipt, at most this much behind the kernel's own stamp for the same session.
// (The stamp can only be later when it is another session's.)
inline constexpr std::chrono::seconds kStampSlack{1};

// What has been reported of a session already. Stands apart: most sessions end within their first window.
struct History {
  Counters original;  // reported so far
  Counters reply;
  UnixMs reported_until;       // the end of the last slice
  std::uint32_t seq = 0;       // of the next record
  bool reported_known = true;  // else what the next record would have to leave out is not known
  std::uint8_t tcp_seen = 0;   // by then: tcp_seen.h
};

template <typename Family>
struct Session {
  enum Flag : std::uint8_t {
    kLive = 1,             // this cell is in use
    kStartKnown = 2,       // `begin` is when the session began; else when it was first seen
    kStartFromKernel = 4,  // `begin` is the kernel's own stamp
    kStartPinned = 8,      // a record carries `begin`: it must not change any more
    kStartReported = 16,   // the `start` record (seq 0) was written
    kNewSeen = 32,         // a NEW event told of it: the next one on this key is another session
    kMissed = 64,          // the last whole dump did not show it
    kMute = 128,           // it may be one that never sends an event: its end would be known by a dump alone
  };

  FlowKey<Family> key;
  UnixMs begin;           // milliseconds: the resolution of the log
  std::uint32_t next;     // in the bucket's chain
  std::uint32_t history;  // Slab<History>, or kNone
  std::uint32_t mark;
  std::uint8_t nat_status;  // IPS_SRC_NAT and IPS_DST_NAT of the status word, and below them tcp_seen's bits
  std::uint8_t flags;
  TcpState tcp_state;
  std::uint8_t pass;  // the last dump pass that saw it, or during which it appeared

  [[nodiscard]] bool has(Flag flag) const { return (flags & flag) != 0; }
  void set(std::uint8_t added) { flags = static_cast<std::uint8_t>(flags | added); }
  void clear(Flag flag) { flags = static_cast<std::uint8_t>(flags & ~flag); }
};

static_assert(sizeof(Session<V4>) == 56);

}  // namespace natsession
