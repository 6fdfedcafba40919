// TcpSeen: which of a TCP connection's flags conntrack's states have told of. Data flags (PSH, URG) it never
// tells of. Four bits, so that a session can keep them.
// Threads: any; pure functions.
#pragma once

#include <array>
#include <cstdint>

#include "record/session_record.h"

namespace natsession {

namespace tcp_seen {
inline constexpr std::uint8_t kSynAck = 1;
inline constexpr std::uint8_t kFin = 2;
inline constexpr std::uint8_t kLastFin = 4;  // of the other side
inline constexpr std::uint8_t kClose = 8;    // RST, if no FIN was before it
inline constexpr std::uint8_t kAll = 15;
inline constexpr std::uint8_t kHalfClosed = kSynAck | kFin;
inline constexpr std::uint8_t kClosed = kHalfClosed | kLastFin;
// none, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2. Not a
// function's own, which would be made anew with each event.
inline constexpr std::array<std::uint8_t, 10> kByState = {0,           0,       kSynAck, kSynAck, kHalfClosed,
                                                          kHalfClosed, kClosed, kClosed, kClose,  0};
}  // namespace tcp_seen

// What it takes to come to `state`.
[[nodiscard]] constexpr std::uint8_t seen_by(TcpState state) {
  return tcp_seen::kByState[static_cast<std::size_t>(state)];
}

// The flags of a slice: `now` is what was seen by its end, `before` what by its beginning; `began`: the first
// SYN lies in it; `followed`: what was before is known.
[[nodiscard]] constexpr std::uint8_t flags_of_slice(std::uint8_t now, std::uint8_t before, bool began,
                                                    bool followed) {
  const unsigned fresh = now & ~unsigned{before};
  unsigned flags = began ? tcp_flag::kSyn : 0U;
  if ((fresh & tcp_seen::kSynAck) != 0 && (began || followed)) flags |= tcp_flag::kSyn | tcp_flag::kAck;
  if ((fresh & (tcp_seen::kFin | tcp_seen::kLastFin)) != 0) flags |= tcp_flag::kFin;
  if ((fresh & tcp_seen::kClose) != 0 && (now & tcp_seen::kFin) == 0) flags |= tcp_flag::kRst;
  return static_cast<std::uint8_t>(flags);
}

}  // namespace natsession
