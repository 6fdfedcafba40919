// CollectorThread: one namespace's source, tracker and collector, and the thread that turns them. It waits
// where the collector says so, and for nothing else.
// Threads: start() and join() on the thread that made it; the others from any.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/guarded.h"
#include "conntrack/conntrack_source.h"
#include "conntrack/network_namespace.h"
#include "delivery/memory_log.h"
#include "interface_routes.h"
#include "session/collector.h"
#include "session/missed_time.h"
#include "wake_fd.h"

namespace natsession {

// Conditions as a number, for a successor; the lowest byte are the groups.
[[nodiscard]] std::uint64_t number_of(const CoverageConditions& conditions);

// What flow logs want of a namespace; no windows: there are none that are on.
struct FollowedFlows {
  FlowWants wants = {};
  std::uint32_t log_selects = 0;  // bits of a flow's status word that make it the session log's
  std::unique_ptr<InterfaceRoutes> interfaces = {};
};

class CollectorThread {
 public:
  enum class State { kStarting, kReady, kPaused, kDone, kFailed };

  struct PortUsageReport {
    std::chrono::nanoseconds taken_at{};  // steady
    std::vector<PortUsage::Entry> uses;
    std::uint64_t left_out = 0;
  };

  // All references outlive the thread and every record. `notice` is woken when the state changes. `netns` is
  // how the namespace is called, also in messages; empty for the daemon's own. `identity` is which it is. The
  // groups of `conditions` are those that are watched while all is covered: the collector knows them.
  CollectorThread(std::string netns, const NamespaceIdentity& identity,
                  std::unique_ptr<ConntrackSource> source, const TrackerSettings& tracking,
                  const CollectorSettings& collecting, const CoverageConditions& conditions,
                  const Origin& origin, VpcMap vpcs, Producer& output, const Clock& clock, WakeFd& notice,
                  FollowedFlows flows = {});
  ~CollectorThread();  // aborts, if it still runs

  // Before start(): the sessions that the run before left open, and the time since then as gaps, or where its
  // events go on.
  struct Open {
    OpenSessions log;
    FlowTrackers::Open flows;
  };
  void restore(Open open, const MissedTime& missed, std::optional<UnixMs> logged_since);
  // Of `groups` at least.
  void restore(Open open, const Continuation& before, const EventGroups& groups,
               std::chrono::milliseconds away);
  // Before start(): what a successor needs to know is kept in the source's region, until it is in the log's
  // files. A stop then leaves the source as it is.
  struct Handover {
    Ordinal first = 0;                 // of the record that comes next in the files
    std::function<Ordinal()> written;  // what is below is in the files
  };
  void keep_for_successor(Handover handover);
  // After join(), when all is written: nothing of it is left for the successor to do.
  void settle();
  // Errors: no thread could be had.
  Result<void> start();

  // Has what is known by now told soon, in report() and by the producer.
  void wake() {
    collector_.request_look();
    wake_.wake();
  }
  void request_close();
  void request_stop();
  // Whether it logs. Off: what was seen is written, open sessions get an interim record, and the kernel is
  // asked for nothing more. On again: as after a restart, with a gap record for the time in between.
  void set_logging(bool on);
  // The name means another namespace now, or none: what was seen is written as when logging is off, and the
  // sockets are closed. It goes on with those of another one.
  [[nodiscard]] bool gone() const { return gone_.load(std::memory_order_acquire); }
  // How often that was so.
  [[nodiscard]] std::uint64_t departures() const { return departures_.load(std::memory_order_acquire); }
  // `interfaces`: none without flow logs.
  void go_on(std::unique_ptr<ConntrackSource> source, std::unique_ptr<InterfaceRoutes> interfaces,
             const NamespaceIdentity& identity);
  // Counts the SNAT ports in use; port_usage() tells when it has.
  void request_port_usage();
  [[nodiscard]] std::shared_ptr<const PortUsageReport> port_usage() const;
  // Ends the thread at once, whatever is still to be written.
  void request_abort();
  // Records from now on carry these; they outlive every record.
  void relabel(const Origin& origin, VpcMap vpcs);
  void join();
  // After join(): the sessions that have not ended, for the run after this one.
  void take_open(std::vector<SessionRecord>& totals);
  // After join(): hands on what was emitted last.
  void finish_output() { output_.flush(); }

  [[nodiscard]] const std::string& netns() const { return netns_; }
  // Grows while the thread runs, also while logging is off: one that hangs stands still.
  [[nodiscard]] std::uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  [[nodiscard]] State state() const { return state_.load(std::memory_order_acquire); }
  [[nodiscard]] std::optional<Error> error() const;
  // Before start(): what is known of refused packets of this namespace, from any thread.
  void report_refused(std::function<void(FlowCounters&)> call) { report_refused_ = std::move(call); }
  // As of a moment ago; without rates.
  [[nodiscard]] CollectorReport report() const;

 private:
  struct Labels {
    const Origin* origin;
    VpcMap vpcs;
  };
  struct NextSource {
    std::unique_ptr<ConntrackSource> source;
    std::unique_ptr<InterfaceRoutes> interfaces;
    NamespaceIdentity identity;
  };

  [[nodiscard]] FlowTrackers* follow(const FollowedFlows& flows, const TrackerSettings& tracking,
                                     const Origin& origin, const VpcMap& vpcs, Producer& output);
  void run();
  State live();
  State take_turns();
  Result<void> pause();
  Result<void> resume();
  void wait_while_paused();
  bool is_named_still();
  void take_next_source();
  void count_ports();
  void wait(Collector::Pace pace);
  void tell_missed(const MissedTime& missed);
  void publish();
  [[nodiscard]] CoverageConditions conditions() const;
  [[nodiscard]] std::uint64_t destroys() const { return flows_ ? flows_->destroys() : tracker_.destroys(); }
  void note_settled();
  void change_state(State state);

  const std::string netns_;
  NamespaceIdentity identity_;
  const CoverageConditions conditions_;
  const Clock& clock_;
  WakeFd& notice_;
  WakeFd wake_;
  std::unique_ptr<ConntrackSource>
      source_;  // none after the thread has ended, and while the namespace is gone
  Producer& output_;
  std::unique_ptr<InterfaceRoutes> interfaces_;  // null without flow logs
  std::optional<FlowTrackers> flows_;
  std::function<void(FlowCounters&)> report_refused_;
  Tracker tracker_;
  Collector collector_;
  std::chrono::nanoseconds flushed_at_{};
  UnixMs paused_at_{};
  UnixMs named_until_{};  // when the name was last seen to mean this namespace
  bool lost_name_ = false;
  Booted paused_booted_;
  std::optional<Handover> handover_;
  std::shared_ptr<EventRegion> region_;  // the source's, also after it
  bool follows_ = true;                  // the source, without a break; else nothing is settled
  std::uint64_t destroys_before_ = 0;    // that the tracker handled of sources before this one
  Ordinal appended_ = 0;                 // where the log will end in the files
  // What is settled once the files have all up to an ordinal.
  std::deque<std::pair<Ordinal, Settled>> settling_;
  std::unique_ptr<PortUsage> counting_;  // while ports are counted
  Tracker::TableCursor counted_;
  std::thread thread_;
  std::atomic<State> state_{State::kStarting};
  std::atomic<std::uint64_t> turns_{0};
  std::atomic<bool> abort_{false};
  std::atomic<bool> stop_{false};
  std::atomic<bool> logging_{true};
  std::atomic<bool> gone_{false};
  std::atomic<std::uint64_t> departures_{0};
  Guarded<NextSource> next_source_;
  std::atomic<bool> port_usage_wanted_{false};
  Guarded<std::shared_ptr<const PortUsageReport>> port_usage_;
  std::atomic<bool> relabelled_{false};
  Guarded<Labels> labels_;
  Guarded<std::optional<Error>> error_;
  Guarded<CollectorReport> report_;
  std::uint64_t reported_passes_ = 0;
  std::uint64_t reported_failures_ = 0;
};

}  // namespace natsession
