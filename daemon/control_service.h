// ControlService: what the control socket and the metrics are told of this daemon, and what they can change.
// Threads: tick() on the main one; the handler's functions on the server's threads.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "collector_thread.h"
#include "control/control_handler.h"
#include "control/rate_meter.h"
#include "delivery/delivery.h"
#include "identity/identity_keeper.h"
#include "live_sessions.h"

namespace natsession {

using Collectors = std::vector<std::unique_ptr<CollectorThread>>;

class ControlService final : public ControlHandler {
 public:
  // All outlive the service. `tables` are one for each collector, or none.
  ControlService(Collectors& collectors, Delivery& delivery,
                 std::vector<std::shared_ptr<LiveSessions>> tables, const Clock& clock);

  // Before the first question: the file that the configuration is of; none without this.
  void set_configuration(std::string path) { configuration_ = std::move(path); }
  // Likewise: what says whose addresses were; it outlives the service.
  void set_identity(const IdentityKeeper* identity) { identity_ = identity; }
  // From now on questions about the collector `index` are for this one; null while its namespace is gone.
  void set_table(std::size_t index, std::shared_ptr<LiveSessions> table);
  // Once a second or so: how fast things grow.
  void tick();

  // What is known, at once.
  [[nodiscard]] Status status_at_hand();
  // With what has to be counted for it.
  [[nodiscard]] Status status() override;
  Result<void> enable(const std::optional<std::string>& sink) override { return set_enabled(sink, true); }
  Result<void> disable(const std::optional<std::string>& sink) override { return set_enabled(sink, false); }
  [[nodiscard]] Result<SessionsAnswer> sessions(const SessionFilter& filter) override;
  [[nodiscard]] Result<FlowLogsAnswer> flow_logs() override;
  [[nodiscard]] Result<FlowLogChanged> change_flow_log(const FlowLogChange& change) override;
  [[nodiscard]] Result<std::vector<PortUse>> port_use() override;

 private:
  struct Rates {
    RateMeter events;
    RateMeter records;
  };

  // Of a collector that does not follow all open sessions.
  struct Count {
    std::mutex mutex;  // while it is counted
    std::chrono::nanoseconds began{}, took{};
    std::shared_ptr<const LiveSessions::Usage> usage;  // none: never
  };
  [[nodiscard]] Result<std::shared_ptr<const LiveSessions::Usage>> count(std::size_t index);

  // Whether `met` was in time.
  template <typename Met>
  [[nodiscard]] bool wait_until(std::chrono::nanoseconds deadline, Met met) const;
  [[nodiscard]] bool wait_until_recorded(UnixMs time) const;
  Result<void> set_enabled(const std::optional<std::string>& sink, bool enabled);

  Collectors& collectors_;
  Delivery& delivery_;
  Guarded<std::vector<std::shared_ptr<LiveSessions>>> tables_;
  const Clock& clock_;
  const UnixMs started_;
  std::atomic<bool> logging_{true};
  Guarded<std::vector<Rates>> rates_;  // of each collector
  std::vector<Count> counts_;          // likewise
  std::string configuration_;
  const IdentityKeeper* identity_ = nullptr;
};

}  // namespace natsession
