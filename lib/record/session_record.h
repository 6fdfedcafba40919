// SessionRecord: one line of the session log, as a plain struct. What the fields mean is fixed by the log's
// specification and told to readers in FORMAT.md.
// Threads: a plain value type, kept by value: Origin and vpc_id point to labels, which live as long as the process
//          (labels.h).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "net/ip_address.h"

namespace natsession {

// A counter that may be unknown: accounting was off, or the flow left with no event. Unknown is never shown
// as 0.
class Count {
 public:
  constexpr Count() = default;
  constexpr explicit Count(std::uint64_t value) : value_(value) {}
  [[nodiscard]] constexpr bool known() const { return value_ != kUnknown; }
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }  // only if known()
  friend constexpr bool operator==(const Count&, const Count&) = default;

 private:
  static constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t value_ = kUnknown;
};

// Who wrote the record. One object per collector.
struct Origin {
  std::string instance;
  std::string netns;  // empty when only one namespace is watched
};

enum class RecordEvent : std::uint8_t {
  kStart,
  kInterim,
  kEnd,
  kGap,
  // These two never stand in the log: sinks make them of sessions (sink/blocks/port_blocks.h). A block of
  // ports of nat_ip, nat_port to orig_dst_port, is one host's from start_time on; of kFree until end_time.
  kAllocate,
  kFree,
};
[[nodiscard]] constexpr bool is_block(RecordEvent event) {
  return event >= RecordEvent::kAllocate;
}

enum class RecordReason : std::uint8_t {
  kNone,
  kDestroyed,    // end: the kernel said so
  kVanished,     // end: left the table with no event
  kOverrun,      // gap: the socket's buffer was full and events were lost
  kTableGuard,   // gap: reliable mode was off because the conntrack table was filling
  kStopped,      // gap: the logger was not running, as its state file tells
  kSinkStalled,  // gap: this sink took nothing for too long while others went on
  kLedgerFull,   // gap: retention deleted records that this sink had not read yet
  kDamaged,      // gap: records in the ledger cannot be read any more
  kEventsOff,    // gap: the kernel was told to send no events (nf_conntrack_events = 0)
  kStarted,      // gap: the logger began, and has no ledger that tells of the time before
};

// RFC 9293's control bits, as far as conntrack's states tell of them.
namespace tcp_flag {
inline constexpr std::uint8_t kFin = 1;
inline constexpr std::uint8_t kSyn = 2;
inline constexpr std::uint8_t kRst = 4;
inline constexpr std::uint8_t kAck = 16;
}  // namespace tcp_flag

// What a record that is not the session log's tells of.
enum class FlowKind : std::uint8_t {
  kSession,       // as in the session log: of a flow, translated or not
  kRefused,       // packets that a rule dropped, of which there was no flow
  kWindowClosed,  // nothing; all that ended in this window has been told before: sessions, or where seq is 1
                  // refused packets
  kSkipped,  // refused packets of this window are not told: events_lost of them, at iif or oif, or anywhere
};

// nf_conntrack's enum tcp_conntrack. kNone is also: not TCP, or not known.
enum class TcpState : std::uint8_t {
  kNone,
  kSynSent,
  kSynRecv,
  kEstablished,
  kFinWait,
  kCloseWait,
  kLastAck,
  kTimeWait,
  kClose,
  kSynSent2,
};

// The last value of each of these, and their names as they stand in records: start interim end gap; destroyed
// vanished overrun …; ESTABLISHED …; empty for kNone. Of events the last that stands in the log.
template <typename Word>
inline constexpr Word kLast{};
template <>
inline constexpr RecordEvent kLast<RecordEvent> = RecordEvent::kGap;
template <>
inline constexpr RecordReason kLast<RecordReason> = RecordReason::kStarted;
template <>
inline constexpr TcpState kLast<TcpState> = TcpState::kSynSent2;
[[nodiscard]] std::string_view to_string(RecordEvent event);
[[nodiscard]] std::string_view to_string(RecordReason reason);
[[nodiscard]] std::string_view to_string(TcpState state);

// start_time of a gap whose beginning nobody knows.
inline constexpr UnixMs kUnknownStart = UnixMs::min();

struct SessionRecord {
  const Origin* origin = nullptr;  // never null in a record that is handed on
  std::string_view vpc_id;

  IpAddress pri_ip;
  IpAddress pub_ip;
  IpAddress nat_ip;
  IpAddress orig_dst_ip;  // only if has_orig_dst
  std::uint16_t pri_port = 0;
  std::uint16_t pub_port = 0;
  std::uint16_t nat_port = 0;
  std::uint16_t orig_dst_port = 0;  // only if has_orig_dst

  Count bytes_from_pub;  // layer-3 bytes in this slice
  Count pkts_from_pub;
  Count bytes_from_vpc;
  Count pkts_from_vpc;

  UnixMs start_time;  // of this slice; start_time <= end_time; or kUnknownStart
  UnixMs end_time;
  std::optional<UnixMs> session_start;

  std::uint64_t session_id = 0;
  std::uint32_t seq = 0;
  std::uint32_t mark = 0;
  std::uint16_t zone = 0;
  std::uint8_t protocol = 0;  // IANA number
  RecordEvent event = RecordEvent::kEnd;
  RecordReason reason = RecordReason::kNone;
  TcpState tcp_state = TcpState::kNone;
  bool has_orig_dst = false;

  Count events_lost;  // kGap, and FlowKind::kSkipped: how many, where it is known

  // What only flow logs want. `flow`: the record is one of windows of so many seconds, at most kMaxFlow, and
  // not the session log's; 0: it is, and what follows is there if a flow log reads it as well. A flow that is
  // not translated has no nat_ip (::), and its pri_port as nat_port.
  std::uint32_t flow = 0;
  FlowKind flow_kind = FlowKind::kSession;
  std::uint8_t tcp_flags = 0;  // seen in this slice: tcp_flag's bits
  std::string_view iif;  // labels: where the original direction enters, and the reply leaves; empty: not
  std::string_view oif;  // asked for. And where the original direction leaves

  // Texts by their bytes, the origin by its address: labels.
  friend bool operator==(const SessionRecord&, const SessionRecord&) = default;
};

inline constexpr std::uint32_t kMaxFlow = 24 * 3600;

// iif and oif of what begins or ends at the box itself, as the kernel's route to one of its own addresses
// says; and where nothing tells.
inline constexpr std::string_view kLoopbackInterface = "lo";
inline constexpr std::string_view kUnknownInterface = "unknown";

// A record of a whole window, kWindowClosed or kSkipped, which has no addresses; its session_id is left to
// the caller.
[[nodiscard]] inline SessionRecord record_of_window(FlowKind kind, const Origin* origin, UnixMs start,
                                                    UnixMs end, std::uint32_t flow) {
  SessionRecord record;
  record.origin = origin;
  record.event = RecordEvent::kInterim;
  record.start_time = start;
  record.end_time = end;
  record.flow = flow;
  record.flow_kind = kind;
  return record;
}

// An open session has a record at least so often, also when it is idle, unless it gets none before it ends.
inline constexpr std::chrono::hours kLongestSilence{24};

// seq counts a session's records in its lower bits; the upper ones number twins, sessions that began between
// the same ends in the same millisecond: their ids must differ.
inline constexpr unsigned kSeqBits = 24;
inline constexpr std::uint32_t kMaxTwin = 0xffffffff >> kSeqBits;
inline constexpr std::uint32_t kMaxSeq = (1U << kSeqBits) - 1;  // without the twin's number
[[nodiscard]] constexpr bool is_first(std::uint64_t seq) {
  return (seq & kMaxSeq) == 0;
}
// Whether this is all of a session that did not outlive the millisecond in which it began, or whose beginning
// is not known. Of twins all but the last are so.
[[nodiscard]] bool is_momentary(const SessionRecord& record);

// The 64-bit session_id: a hash of zone, protocol, the addresses and ports of both tuples and session_start
// in ms, and of which twin it is. The same for every record of one session, on every machine and version.
// Shape:  FORMAT.md gives the bytes that are hashed (XXH3, 64 bits). Fields of slices do not enter.
[[nodiscard]] std::uint64_t derive_session_id(const SessionRecord& record);

// What names a gap record where each needs a name: a hash of all that it says. The same when it is sent
// twice.
[[nodiscard]] std::uint64_t derive_gap_id(const SessionRecord& record);

}  // namespace natsession
