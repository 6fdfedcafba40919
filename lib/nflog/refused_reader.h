// RefusedReader: takes copies of refused packets off NFLOG groups, tells what was lost of them, and adds them
// to a table.
// Threads: one at a time: the caller's, who waits for fd() and calls on_readable().
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "nflog/nflog_socket.h"
#include "nflog/refused_packet.h"
#include "nflog/refused_table.h"

namespace natsession {

// The numbers of one group's copies: how many are missing.
class CopySequence {
 public:
  // From the group's first copy on, or from the first that comes.
  enum class From : bool { kZero, kFirst };
  explicit CopySequence(From from = From::kZero) : known_(from == From::kZero) {}

  // How many were lost between the last one and this; wraps with the kernel's number.
  std::uint32_t lost_before(std::uint32_t sequence) {
    const std::uint32_t lost = known_ ? sequence - next_ : 0;
    known_ = true;
    next_ = sequence + 1;
    return lost;
  }

 private:
  std::uint32_t next_ = 0;
  bool known_;
};

// Since the beginning. Of the packets that rules handed to the groups each is one of: added, not_ip,
// malformed, lost; but for copies that the kernel had no memory to make, which it tells nobody of.
struct RefusedCounters {
  std::uint64_t packets = 0;  // added to the table, or left out by it
  std::uint64_t bytes = 0;
  std::uint64_t not_ip = 0;     // ARP, say
  std::uint64_t malformed = 0;  // an IP header that is none, or a copy too short for it
  std::uint64_t lost = 0;       // by the sequence numbers: known with the next copy of the group
  // Messages of copies that found no room in the socket: known at once. Where this grew, copies were lost,
  // even if `lost` does not tell yet how many.
  std::uint64_t dropped_messages = 0;
  std::uint64_t strange_messages = 0;  // that were no copies
  RefusedCounters& operator+=(const RefusedCounters& more) {
    packets += more.packets;
    bytes += more.bytes;
    not_ip += more.not_ip;
    malformed += more.malformed;
    lost += more.lost;
    dropped_messages += more.dropped_messages;
    strange_messages += more.strange_messages;
    return *this;
  }
  friend bool operator==(const RefusedCounters&, const RefusedCounters&) = default;
};

class RefusedReader {
 public:
  struct Group {
    std::uint16_t number = 0;
    std::uint64_t copies = 0;
    std::uint64_t lost = 0;
    CopySequence sequence;
  };

  // `clock` outlives the reader.
  // Errors: as NflogSocket::open() has them.
  [[nodiscard]] static Result<RefusedReader> open(const NflogOptions& options, const Clock& clock);
  // Of the descriptor of one that open() made in another process with these groups. kZero: it was not read
  // from, but for what came while it was opened, which counts as lost; kFirst: it was, and what was lost
  // between is not known.
  [[nodiscard]] static Result<RefusedReader> adopt(UniqueFd fd, const std::vector<std::uint16_t>& groups,
                                                   const Clock& clock, CopySequence::From from);

  [[nodiscard]] int fd() const { return socket_.fd(); }
  [[nodiscard]] ByteCount receive_buffer() const { return socket_.receive_buffer(); }

  // Takes what is queued, but no more than kMostRounds rounds: other work of the thread must not wait for the
  // end of a flood. True: there is more.
  // Errors: kIo.
  using Add = std::function<void(std::span<const RefusedPacket>)>;
  Result<bool> on_readable(const Add& add);
  Result<bool> on_readable(RefusedTable& table) {
    return on_readable([&table](std::span<const RefusedPacket> packets) { table.add(packets); });
  }

  [[nodiscard]] const RefusedCounters& counters() const { return counters_; }
  [[nodiscard]] const std::vector<Group>& groups() const { return groups_; }

 private:
  static constexpr int kMostRounds = 4;  // of up to some 1,300 packets
  // The kernel's time of a packet, if it is one: before now, by less than this.
  static constexpr std::chrono::hours kOldest{1};

  RefusedReader(NflogSocket socket, const std::vector<std::uint16_t>& groups, const Clock& clock,
                CopySequence::From from);
  void take(std::span<const std::byte> message, UnixNs now);

  NflogSocket socket_;
  const Clock* clock_;
  std::vector<Group> groups_;
  RefusedCounters counters_;
  std::vector<RefusedPacket> packets_;  // of a round
};

}  // namespace natsession
