// Supervisor: the main thread's loop: signals, what collectors and sinks report, and the orderly stop.
// Threads: run() on the main one. Signals must be blocked in all threads (block_signals()).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "collector_thread.h"
#include "config/config.h"
#include "control_service.h"
#include "delivery/delivery.h"
#include "guard_process.h"
#include "namespace_follower.h"
#include "service_manager.h"

namespace natsession {

// Blocks the signals that run() waits for, and ignores SIGPIPE. Before any thread is started.
void block_signals();

// What records point to.
struct Labels {
  std::vector<const Origin*> origins;  // of each collector
  VpcMap vpcs;
};

// Errors: kUsage for a label too many (record/labels.h).
[[nodiscard]] Result<Labels> make_labels(const Config& config);

class Supervisor {
 public:
  using Reload = std::function<Result<Config>()>;

  // All outlive the supervisor. `guard` and `follower` may be none.
  Supervisor(Config config, Reload reload, Collectors& collectors, Delivery& delivery,
             DeliveryThreads& delivery_threads, ControlService& service, WakeFd& notice, GuardProcess* guard,
             NamespaceFollower* follower, ServiceManager& manager);

  // What else puts records into the log, beside the collectors: called once when these have ended.
  void on_inputs_end(std::function<void()> call) { on_inputs_end_ = std::move(call); }

  // A sink's reader has gone: the program stops with status 1. From any thread.
  void sink_closed();
  // No memory is left: likewise, but in order. From any thread.
  void no_memory();

  // Until a signal or a failure ends it, and the sinks have what they take. Then `finish` is called, for what
  // is to be done before the program ends. Returns the exit status: 0 when stopped on request and all was
  // delivered. It does not return, but ends the program with that status, when a sink's thread hangs, which
  // goes on using what would be destroyed; or when it is told to give up.
  int run(const std::string& ready_text, const std::function<void()>& finish);

 private:
  void wait(std::chrono::milliseconds limit);
  void watch_guard(bool has_word);
  void handle_signals();
  [[nodiscard]] Result<Config> reread() const;
  void handle_reload();
  void watch_collectors();
  [[nodiscard]] bool collectors_turn();
  void tell_passes();
  void tell_groups();
  void tell_sysctls();
  void tell_losses(bool now);
  bool tell_losses_of(const CollectorThread& collector, CollectorReport& reported);
  [[nodiscard]] bool all_are(bool (*accept)(CollectorThread::State)) const;
  int stop(const std::function<void()>& finish);
  bool wait_for_collectors(std::chrono::seconds limit);
  Drained drain();

  Config config_;
  Reload reload_;
  Collectors& collectors_;
  Delivery& delivery_;
  DeliveryThreads& delivery_threads_;
  ControlService& service_;
  WakeFd& notice_;
  GuardProcess* const guard_;
  NamespaceFollower* const follower_;
  ServiceManager& manager_;
  std::function<void()> on_inputs_end_ = [] {};
  SystemClock clock_;
  UniqueFd signals_;
  std::string ready_text_;
  std::atomic<bool> sink_closed_{false};
  std::atomic<bool> no_memory_{false};
  bool reported_ready_ = false;
  bool stopping_ = false;
  std::string guard_end_;  // how the last one ended
  std::chrono::nanoseconds guard_ended_at_{};
  bool guard_end_told_ = false;
  int asked_again_ = 0;  // to stop, while stopping
  bool failed_ = false;
  std::vector<std::uint64_t> turns_;       // of each collector, when it was looked at last
  std::chrono::nanoseconds turned_at_{};   // when all were seen to have turned
  std::vector<CollectorReport> reported_;  // of each collector, so that each loss is told once
  std::vector<EventChoice> told_groups_;   // likewise
  std::vector<std::optional<ConntrackSysctls>> told_sysctls_;  // none: not looked at yet
  std::chrono::nanoseconds reported_at_{};
};

}  // namespace natsession
