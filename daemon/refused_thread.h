// RefusedThread: takes copies of packets that the firewall refused (NFLOG) and puts them, added up, into the
// log: for each flow and window a record of FlowKind::kRefused. It is a thread of its own, so that no flood
// of refused packets delays what conntrack tells.
// Threads: start() and join() on the thread that made it; counters() any.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/guarded.h"
#include "delivery/memory_log.h"
#include "interface_names.h"
#include "nflog/refused_reader.h"
#include "session/vpc_map.h"
#include "session/window_schedule.h"
#include "wake_fd.h"

namespace natsession {

class RefusedThread {
 public:
  struct Settings {
    std::vector<std::chrono::seconds> windows;  // not empty
    std::size_t max_flows = RefusedTable::kDefaultFlows;
  };
  struct Report {
    RefusedCounters counters;
    std::uint64_t left_out = 0;  // packets beyond the table's limit
  };

  // All references outlive the thread and every record. `names` is its own.
  RefusedThread(const Settings& settings, RefusedReader reader, InterfaceTable names, const Origin& origin,
                VpcMap vpcs, Producer& output, const Clock& clock);
  ~RefusedThread();  // stops, if it still runs

  // Errors: no thread could be had.
  Result<void> start();
  // What was added up so far is told, and the thread ends.
  void request_stop();
  void join();
  // The namespace is gone: its sockets are closed, and each window says that refused packets are missing,
  // until it goes on with those of another one.
  void leave();
  void go_on(RefusedReader reader, InterfaceTable names);
  [[nodiscard]] Report report() const;

 private:
  struct Series {
    Series(std::chrono::seconds length, std::size_t flows, UnixMs now)
        : window(length), schedule(length, now), table(flows) {}
    [[nodiscard]] std::uint32_t flow() const { return static_cast<std::uint32_t>(window.count()); }
    [[nodiscard]] UnixMs begin_of_closing() const { return window_of(*closing, window); }
    std::chrono::seconds window;
    WindowSchedule schedule;
    RefusedTable table;
    std::optional<UnixMs> closing;  // the window whose flows are being told
    std::uint64_t lost_before = 0;  // copies that were lost when the last window closed
    std::uint64_t dropped_before = 0;
    bool is_first = true;  // no window of this run has been told yet
  };
  // What it takes copies from.
  struct Place {
    RefusedReader reader;
    InterfaceNames names;
  };
  void run();
  void change_place();
  [[nodiscard]] std::string_view name_of(std::uint32_t index);
  [[nodiscard]] RefusedCounters counters() const;
  // True: there are more.
  bool take_copies();
  void close_windows(UnixMs now, bool all);
  void tell(Series& series);
  void emit(const Series& series, const RefusedFlow& flow);
  // `span`: of the window that closes, or of those before it as well.
  void emit_skipped(const Series& series, std::string_view interface, bool egress, Count count,
                    std::chrono::seconds span);
  void publish();

  const Origin& origin_;
  const VpcMap vpcs_;
  Producer& output_;
  const Clock& clock_;
  std::optional<Place> place_;                        // none: it was left
  RefusedCounters counted_;                           // of places before this one
  std::optional<std::chrono::nanoseconds> leave_at_;  // it is to be left, when what is on its way has come
  bool leaving_ = false;                              // what was added up in the last place is being told
  std::unordered_map<std::uint32_t, std::string_view> left_names_;  // of that one
  std::optional<Place> coming_;                                     // behind it
  struct Next {
    bool changes = false;
    std::optional<Place> place;
  };
  Guarded<Next> next_;
  std::vector<std::unique_ptr<Series>> series_;
  WakeFd wake_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  bool broken_ = false;  // no copy can be read any more; each window says so
  std::optional<std::chrono::nanoseconds> stopping_since_;
  Guarded<Report> report_;
};

using RefusedThreads = std::vector<std::unique_ptr<RefusedThread>>;

}  // namespace natsession
