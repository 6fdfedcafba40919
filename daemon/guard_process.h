// GuardProcess: the guard of the conntrack table (session/table_guard.h) outside of this process. While this
// program is stopped, by SIGSTOP or a debugger, the collectors' own guards stand still with it, and the
// kernel goes on keeping flows whose ends it cannot deliver. Then this one turns reliable mode off, by the
// same rule, and that is the whole of what it does: the collector, when it goes on, learns of it by its
// Pulse.
// Threads: the main one; a Pulse as it says.
#pragma once

#include <sys/mman.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "conntrack/conntrack_source.h"
#include "helper_process.h"

namespace natsession {

class GuardProcess {
 public:
  // For `count` collectors. It watches nothing before watch().
  // Errors: no memory or process can be had.
  [[nodiscard]] static Result<std::unique_ptr<GuardProcess>> start(std::size_t count, unsigned percent,
                                                                   const std::optional<User>& user);

  // From now on it watches this source for the collector `index`, or, if null, none.
  // Errors: the process is gone, or takes nothing.
  Result<void> watch(std::size_t index, const ConntrackSource* source);
  // What the collector `index` shares with it; as long as this lives.
  [[nodiscard]] Pulse& pulse(std::size_t index) { return pulses_.get()[index]; }

  // To poll: readable when the process has ended; then died() tells how, once.
  [[nodiscard]] int link() const { return process_->link(); }
  [[nodiscard]] std::string died();

 private:
  struct Unmap {
    std::size_t bytes = 0;
    void operator()(Pulse* pulses) const { ::munmap(pulses, bytes); }
  };
  using Pulses = std::unique_ptr<Pulse, Unmap>;

  GuardProcess(Pulses pulses, std::size_t count) : pulses_(std::move(pulses)), count_(count) {}

  Pulses pulses_;
  std::size_t count_;
  std::optional<HelperProcess> process_;
};

}  // namespace natsession
