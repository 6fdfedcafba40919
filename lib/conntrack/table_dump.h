// TableDump: shows the whole conntrack table, filtered by status, in small parts that the caller asks for one
// by one.
// Threads: one, the collector's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "conntrack/dump_reader.h"
#include "conntrack/netlink_socket.h"
#include "conntrack/requests.h"
#include "session/event_source.h"
#include "session/settings.h"

namespace natsession {

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
