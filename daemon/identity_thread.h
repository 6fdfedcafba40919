// IdentityThread: lets the sources of identity take their turns, and the keeper do its work, on a thread of
// its own: a lease file of a million lines delays no event.
// Threads: start(), request_stop() and join() on the thread that made it; keeper().find() and report() any.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "config/config.h"
#include "identity/identity_keeper.h"
#include "identity/identity_source.h"
#include "sink/local/child_process.h"
#include "wake_fd.h"

namespace natsession {

class IdentityThread {
 public:
  struct Followed {
    std::unique_ptr<IdentitySource> source;
    std::string netns;  // where its addresses mean something; empty: in all
  };
  // `clock` outlives it. At most IdentityKeeper::kMaxSources.
  IdentityThread(std::shared_ptr<IdentityKeeper> keeper, std::vector<Followed> sources, const Clock& clock,
                 std::function<void()> on_no_memory);
  ~IdentityThread();  // stops, if it still runs

  // Before start(): what time it is for retention, where that is known; without it nothing is deleted by age.
  void set_age(std::function<std::optional<UnixMs>()> age) { age_ = std::move(age); }
  // Errors: no thread could be had.
  Result<void> start();
  // What was told is in the log when it has ended.
  void request_stop();
  void join();
  [[nodiscard]] const IdentityKeeper& keeper() const { return *keeper_; }

 private:
  struct Place {
    std::unique_ptr<IdentitySource> source;
    IdentityOutput* output = nullptr;
    std::chrono::nanoseconds due{};  // steady
  };
  void run();
  void follow();
  void tell_problems();

  const std::shared_ptr<IdentityKeeper> keeper_;
  const Clock& clock_;
  const std::function<void()> on_no_memory_;
  std::function<std::optional<UnixMs>()> age_ = [] { return std::nullopt; };
  std::vector<Place> places_;
  std::vector<IdentitySourceReport> told_;
  std::string told_failure_;
  std::chrono::nanoseconds told_at_{};
  WakeFd wake_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
};

// The sources that the configuration names, opened, where that may take what is given up later. `commands`
// are those of start_identity_commands(); `clock` outlives the sources.
// Errors: what one of them lacks.
[[nodiscard]] Result<std::vector<IdentityThread::Followed>> open_identity_sources(
    const Config& config, std::vector<std::unique_ptr<CommandRunner>> commands, const Clock& clock);
// The log of assignments in the configuration's ledger.
// Errors: as IdentityWriter::open().
[[nodiscard]] Result<std::shared_ptr<IdentityKeeper>> open_identity(const Config& config);

}  // namespace natsession
