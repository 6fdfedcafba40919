// EventSource: what session/ needs of the kernel. conntrack/ implements it over netlink, tests with a script.
// Threads: one, the collector's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "session/conntrack_event.h"

namespace natsession {

class EventSource {
 public:
  class Handler {
   public:
    virtual void on_event(const ConntrackEvent& event) = 0;

   protected:
    ~Handler() = default;
  };

  // What one receive() met.
  struct Received {
    std::size_t messages = 0;  // taken from the queue, whether or not they were events
    bool drained = false;      // the queue was empty at the end
    bool overrun = false;      // the kernel said ENOBUFS: events were dropped
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

  // Asks for the table: every entry whose status passes the NAT filter. One dump at a time.
  virtual Result<void> start_dump() = 0;
  // Hands the next part of the dump to `handler`, as events of type kUpdate. A part is small (some hundred entries).
  // Errors: the dump is over and failed.
  virtual Result<DumpState> continue_dump(Handler& handler) = 0;

  // How many messages the kernel could not queue to the event socket since it was opened (SK_MEMINFO_DROPS).
  [[nodiscard]] virtual std::uint64_t dropped() = 0;
  // Whether the kernel sends a DESTROY that it could not queue again, so that `dropped` may mean delayed.
  [[nodiscard]] virtual bool redelivers() const { return false; }
};

}  // namespace natsession
