// ConntrackSource: the kernel's conntrack table as an EventSource: one netlink socket for events, one for
// dumps. Opened in the network namespace of the calling thread (see NetworkNamespace), where it stays.
// Threads: one, the collector's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "base/byte_count.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "conntrack/decoder.h"
#include "conntrack/event_region.h"
#include "conntrack/netlink_socket.h"
#include "conntrack/receive_ring.h"
#include "conntrack/sysctls.h"
#include "conntrack/table_dump.h"
#include "session/event_source.h"
#include "session/settings.h"

namespace natsession {

// All since the socket was opened.
struct EventCounters {
  DecodeCounters decode;
  std::uint64_t overruns = 0;      // how often the kernel said ENOBUFS
  std::uint64_t truncated = 0;     // messages longer than a slot: lost
  std::uint64_t foreign = 0;       // messages that another process sent, not the kernel: ignored
  std::uint64_t not_selected = 0;  // decoded, but without the NAT bits that are asked for
  friend bool operator==(const EventCounters&, const EventCounters&) = default;
};

// EventReader: what the event socket received, datagram by datagram, becomes calls of a handler. No I/O.
class EventReader {
 public:
  // Events are handed on if is_selected() by `status_mask`.
  explicit EventReader(std::uint32_t status_mask) : status_mask_(status_mask) {}

  // Returns false if the datagram was truncated or malformed: an event is lost, as in an overrun. The
  // messages of DESTROY events that were handed on are added to `ends`.
  using Messages = std::vector<std::span<const std::byte>>;
  bool read(const ReceiveRing::Datagram& datagram, EventSource::Handler& handler, EventCounters& counters,
            Messages& ends) const;

 private:
  std::uint32_t status_mask_;
};

struct ConntrackOptions {
  NatSelection nat = NatSelection::kSnat;
  ByteCount receive_buffer{std::uint64_t{64} << 20U};
  bool reliable = false;                // what does not fit comes again: see EventSource::set_reliable()
  bool force_userspace_filter = false;  // neither events nor dumps are filtered in the kernel
  bool journal = false;  // what was handled is kept for a successor until it is in the log's files
};

class ConntrackSource final : public EventSource {
 public:
  // What a process that has ended left of one: its event socket, on which events go on queueing.
  struct Inherited {
    UniqueFd events;
    std::shared_ptr<EventRegion> region;
  };
  // Opens both sockets, sizes the event buffer and attaches the filter. Nothing is queued before
  // set_groups(), but on a socket that is inherited, whose groups stay as they were until then.
  // Errors: kUnavailable or kPermission, naming the step.
  [[nodiscard]] static Result<std::unique_ptr<ConntrackSource>> open(const ConntrackOptions& options,
                                                                     Inherited inherited = {});
  // One that open() made with the same options in another process, of its descriptors there.
  // Errors: they are none of such a one.
  static constexpr std::size_t kDescriptors = 3 + std::tuple_size_v<TableGauge::Descriptors>;
  [[nodiscard]] std::array<int, kDescriptors> descriptors() const;
  [[nodiscard]] static Result<std::unique_ptr<ConntrackSource>> adopt(
      const ConntrackOptions& options, std::span<UniqueFd, kDescriptors> descriptors);

  // Before the first receive(): what it is of from now on (`events` is set here), and, if it inherits, where
  // its predecessor's log ends that goes up to the ordinal `written`. None: it begins anew. Otherwise
  // receive() begins with what that one had received, and whose records are not in the log. `wanted` are the
  // groups that are to be watched, if not yet.
  std::optional<Settled> take_up(RegionOwner owner, std::uint64_t written, const EventGroups& wanted);

  // Whether its event socket is a predecessor's.
  [[nodiscard]] bool inherits() const { return inherited_; }

  // Needs CAP_NET_ADMIN, as every dump does.
  Result<void> set_groups(const EventChoice& choice) override;
  [[nodiscard]] EventGroups groups() const override { return groups_; }
  // Leaves all groups, and throws away what is queued: from here on this source costs the forwarding path
  // nothing.
  Result<void> unsubscribe();

  // One recvmmsg() of at most ReceiveRing::kSlots messages; drained if it was not full.
  Result<Received> receive(Handler& handler) override;
  Result<void> start_dump() override { return dump_.start(); }
  // At most one datagram a call (32 KiB, some 120 entries); kMore also when none is there yet.
  Result<DumpState> continue_dump(Handler& handler) override { return dump_.step(handler); }
  [[nodiscard]] std::uint64_t dropped() override { return events_.dropped(); }
  [[nodiscard]] Pulse* pulse() override { return &region_->pulse(); }
  [[nodiscard]] SourceCounters counters() const override;
  Result<void> set_reliable(bool reliable) override { return events_.set_broadcast_error(reliable); }
  [[nodiscard]] Result<TableUsage> table_usage() override { return table_.read(); }
  [[nodiscard]] ConntrackSysctls sysctls() override { return table_.sysctls(); }

  // To poll for reading. After an overrun the event socket also reports POLLERR, until receive() has met it.
  [[nodiscard]] int event_fd() const { return events_.fd(); }
  [[nodiscard]] int dump_fd() const { return dump_.fd(); }
  [[nodiscard]] const TableGauge& table() const { return table_; }
  [[nodiscard]] const std::shared_ptr<EventRegion>& region() const { return region_; }
  [[nodiscard]] bool has_room() const override;
  // In the unit that it was asked in: see NetlinkSocket.
  [[nodiscard]] ByteCount granted_receive_buffer() const { return granted_; }
  [[nodiscard]] bool dump_filters_in_kernel() const { return dump_.filters_in_kernel(); }
  [[nodiscard]] const EventCounters& event_counters() const { return counters_; }
  [[nodiscard]] const DumpCounters& dump_counters() const { return dump_.counters(); }

 private:
  // The events of one round, to be handed on together. Keeps its memory.
  struct Gathered final : Handler {
    void on_event(const ConntrackEvent& event) override { events.push_back(event); }
    std::vector<ConntrackEvent> events;
  };

  [[nodiscard]] static Result<std::unique_ptr<ConntrackSource>> make(const ConntrackOptions& options,
                                                                     NetlinkSocket events, NetlinkSocket dump,
                                                                     TableGauge table,
                                                                     std::shared_ptr<EventRegion> region);
  ConntrackSource(const ConntrackOptions& options, NetlinkSocket events, NetlinkSocket dump,
                  std::shared_ptr<EventRegion> region, TableGauge table, ByteCount granted,
                  const EventGroups& groups);
  std::size_t gather_left_behind(std::size_t& unreadable);
  void keep_ends(std::size_t slot);

  [[nodiscard]] std::uint32_t owner_events(const EventGroups& groups) const;
  Result<void> join_only(const EventGroups& groups);

  ConntrackOptions options_;
  EventGroups groups_;  // that the event socket has joined
  EventReader reader_;
  NetlinkSocket events_;
  TableDump dump_;
  std::shared_ptr<EventRegion> region_;
  ReceiveRing ring_;
  TableGauge table_;
  ByteCount granted_;
  EventCounters counters_;
  Gathered gathered_;
  EventReader::Messages ends_;  // of one datagram
  bool inherited_ = false;
  bool left_behind_ = false;  // what a predecessor left is not read yet
};

}  // namespace natsession
