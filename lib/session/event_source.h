// EventSource: what session/ needs of the kernel. conntrack/ implements it over netlink, tests with a script.
// Threads: one, the collector's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "session/collector_report.h"
#include "session/conntrack_event.h"
#include "session/event_choice.h"
#include "session/table_guard.h"

namespace natsession {

class EventSource {
 public:
  class Handler {
   public:
    virtual void on_event(const ConntrackEvent& event) = 0;
    // Several at once, in order. To be overridden by who can use that the next ones are known.
    virtual void on_events(std::span<const ConntrackEvent> events) {
      for (const ConntrackEvent& event : events) on_event(event);
    }

   protected:
    ~Handler() = default;
  };

  // What one receive() met.
  struct Received {
    std::size_t messages = 0;    // taken from the queue, whether or not they were events
    bool drained = false;        // the queue was empty at the end
    bool overrun = false;        // the kernel said ENOBUFS: dropped() has grown
    std::size_t unreadable = 0;  // messages longer than a slot, or malformed: lost, and not among dropped()
  };

  enum class DumpState {
    kMore,         // entries follow
    kDone,         // the whole table was shown
    kInterrupted,  // the table changed under the dump: it proves nothing
  };

  virtual ~EventSource() = default;

  // Hands the events that are queued to `handler`, at most one buffer of them. Never blocks.
  // Errors: kIo when the socket is broken for good. An overrun is no error.
  virtual Result<Received> receive(Handler& handler) = 0;

  // Whether there is room for what one receive() takes. Until there is, it is left with the kernel.
  [[nodiscard]] virtual bool has_room() const { return true; }

  // Asks for the table: every entry whose status passes the NAT filter. One dump at a time.
  virtual Result<void> start_dump() = 0;
  // Hands the next part of the dump to `handler`, as events of type kUpdate. A part is small (some hundred
  // entries).
  // Errors: the dump is over and failed.
  virtual Result<DumpState> continue_dump(Handler& handler) = 0;

  // How many messages the kernel could not queue to the event socket since it was opened (SK_MEMINFO_DROPS).
  // In reliable mode a DESTROY among them is only delayed, and counts at each try.
  [[nodiscard]] virtual std::uint64_t dropped() = 0;

  // What a guard outside of this process sees of the collector, and tells it; none: there is no such guard.
  [[nodiscard]] virtual Pulse* pulse() { return nullptr; }

  // Reliable mode: the kernel keeps a DESTROY that it could not queue, and sends it again.
  virtual Result<void> set_reliable(bool reliable) = 0;
  // What was wrong with messages, of events and dumps together.
  [[nodiscard]] virtual SourceCounters counters() const = 0;
  // How full the watched namespace's table is.
  [[nodiscard]] virtual Result<TableUsage> table_usage() = 0;
  // What the kernel does for flows that begin now.
  [[nodiscard]] virtual ConntrackSysctls sysctls() = 0;

  // Subscribes to its groups, and then leaves the others: an event of a group that was subscribed to and
  // stays so is not missed. What is queued stays queued.
  // Errors: the kernel's; groups() then tells what came of it.
  virtual Result<void> set_groups(const EventChoice& choice) = 0;
  [[nodiscard]] virtual EventGroups groups() const = 0;
};

}  // namespace natsession
