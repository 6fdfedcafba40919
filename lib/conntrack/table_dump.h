// Dumps of the conntrack table: the requests, the answers, and the pass over the table in small parts.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "conntrack/decoder.h"
#include "conntrack/netlink_socket.h"
#include "session/event_source.h"
#include "session/settings.h"

namespace natsession {

// The ctnetlink requests that this program sends.
// Threads: pure functions.

// Shows entries whose status word has, under `mask`, exactly `value`.
struct StatusFilter {
  std::uint32_t value = 0;
  std::uint32_t mask = 0;
};

// IPCTNL_MSG_CT_GET with NLM_F_DUMP, all families. The filter is CTA_STATUS with CTA_STATUS_MASK (Linux 5.19;
// kernels before that ignore it and show everything).
[[nodiscard]] std::vector<std::byte> dump_request(std::uint32_t sequence, std::optional<StatusFilter> filter);

// IPCTNL_MSG_CT_GET_STATS: the cheapest question that needs the same permission as all others.
[[nodiscard]] std::vector<std::byte> stats_request(std::uint32_t sequence);

// DumpReader: reads the kernel's answer to one dump request, datagram by datagram. No I/O.
// Threads: one at a time.

struct DumpCounters {
  DecodeCounters decode;
  std::uint64_t stale = 0;         // messages of an earlier dump, by their sequence number
  std::uint64_t not_selected = 0;  // entries that the kernel's filter should have kept back, or had no way to
  std::uint64_t dying = 0;         // entries that are being deleted: their DESTROY says the rest
  std::uint64_t foreign = 0;       // datagrams that are not the kernel's
  std::uint64_t truncated = 0;
  friend bool operator==(const DumpCounters&, const DumpCounters&) = default;
};

class DumpReader {
 public:
  enum class State {
    kMore,
    kDone,
    kRefused,  // the kernel answered the request with an error, before any entry: see error_number()
  };

  // Reads the answer to the request with this sequence number. Entries are handed on if their status has a
  // bit of `status_mask`.
  DumpReader(std::uint32_t sequence, std::uint32_t status_mask)
      : sequence_(sequence), status_mask_(status_mask) {}

  // Errors: kMalformed if message lengths do not fit; kIo or kPermission if the dump broke off in the middle.
  Result<State> read(std::span<const std::byte> datagram, EventSource::Handler& handler,
                     DumpCounters& counters);

  [[nodiscard]] bool interrupted() const { return interrupted_; }  // NLM_F_DUMP_INTR was seen
  [[nodiscard]] int error_number() const { return error_number_; }

 private:
  void hand_on(std::span<const std::byte> message, EventSource::Handler& handler, DumpCounters& counters);

  std::uint32_t sequence_;
  std::uint32_t status_mask_;
  bool interrupted_ = false;
  bool began_ = false;
  int error_number_ = 0;
};

// TableDump: shows the whole conntrack table, filtered by status, in small parts that the caller asks for one
// by one.
// Threads: one, the collector's.
class TableDump {
 public:
  // The kernel fills a part as far as the buffer allows, and never more than this.
  static constexpr std::size_t kPartBytes = std::size_t{32} * 1024;

  // A dump is one pass over the table for each of `passes`, which together show each entry that has a bit of
  // `status_mask` once. Without passes the kernel shows everything, and user space filters.
  TableDump(NetlinkSocket socket, std::uint32_t status_mask, std::vector<StatusFilter> passes);

  // The passes that a selection takes. The kernel's filter knows no "or".
  [[nodiscard]] static std::vector<StatusFilter> passes_of(NatSelection selection);

  // Errors: kUnavailable if a dump is under way or an earlier, broken one cannot be emptied yet: try again
  // later.
  Result<void> start();

  // Reads at most one datagram. kMore also when none has come yet.
  // Where the kernel refuses the status filter, the dump goes on without it, and so do all later ones.
  // Errors: the dump is over and failed.
  Result<EventSource::DumpState> step(EventSource::Handler& handler);

  // Gives up the dump that is under way; what the kernel still has of it is thrown away by the next start()s.
  void abandon() {
    stale_ = stale_ || reader_.has_value();
    reader_.reset();
  }

  [[nodiscard]] int fd() const { return socket_.fd(); }
  [[nodiscard]] bool filters_in_kernel() const { return !passes_.empty(); }
  [[nodiscard]] const DumpCounters& counters() const { return counters_; }

 private:
  Result<void> begin_pass();
  Result<EventSource::DumpState> read_part(EventSource::Handler& handler);
  Result<EventSource::DumpState> finish_pass();
  bool discard_stale();

  NetlinkSocket socket_;
  std::uint32_t status_mask_;
  std::vector<StatusFilter> passes_;  // empty once the kernel has refused one
  bool stale_ = false;                // the socket may still hold parts of a dump that failed
  bool interrupted_ = false;
  std::size_t pass_ = 0;
  std::uint32_t sequence_ = 0;
  std::optional<DumpReader> reader_;  // while a dump is under way
  DumpCounters counters_;
  std::vector<std::byte> buffer_;
};

}  // namespace natsession
