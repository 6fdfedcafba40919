// GuardProcess: the guard of the conntrack table (session/table_guard.h) outside of this process. While this
// program is stopped, by SIGSTOP or a debugger, the collectors' own guards stand still with it, and the
// kernel goes on keeping flows whose ends it cannot deliver. Then this one turns reliable mode off, by the
// same rule; the collector, when it goes on, learns of it by its Pulse.
//
// With --handover it also outlives this process: for a minute it holds the event sockets, and what else the
// next process needs to go on (conntrack/event_region.h), guards the table meanwhile, and hands all over to
// who asks at the path. One that is a service of its own (--guard-only) goes on after that, with nothing in
// hand.
// Threads: the main one; a Pulse as it says.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conntrack/conntrack_source.h"
#include "helper_process.h"

namespace natsession {

class GuardProcess {
 public:
  using Inherited = ConntrackSource::Inherited;

  static constexpr const char* kName = "natsess-guard";

  // It watches nothing before watch(). `percent`: of the table, as --guard; none: it only holds. `path`:
  // where a successor may ask; empty: it ends with this process.
  // Errors: no process can be had; the path cannot be listened at.
  [[nodiscard]] static Result<std::unique_ptr<GuardProcess>> start(std::optional<unsigned> percent,
                                                                   const std::string& path,
                                                                   const std::optional<User>& user);
  // What that process is where it had to begin as a program: main() of one whose name is kName.
  static void begun_anew();
  // One that runs already at `path`; none: nobody listens there. If it serves a process that lives, that one
  // is asked to leave, and this waits until it has. What it holds is put behind `inherited`.
  // Errors: it is of another version, or that process does not leave.
  [[nodiscard]] static Result<std::unique_ptr<GuardProcess>> join(const std::string& path,
                                                                  std::optional<unsigned> percent,
                                                                  std::vector<Inherited>& inherited);
  // Is that process, until a signal ends it: --guard-only. Calls `ready` when it listens.
  // Errors: the path cannot be listened at.
  static Result<void> hold(const std::string& path, const std::optional<User>& user,
                           const std::function<void()>& ready);

  // From now on it watches this source for the collector `index`, or, if null, none: this process, or the
  // one that rejoin() finds.
  // Errors: the process takes nothing.
  Result<void> watch(std::size_t index, const ConntrackSource* source);

  // To poll: readable when it has something to say, or has ended; then read() tells. -1 after died().
  [[nodiscard]] int link() const { return process_ ? process_->link() : link_.get(); }
  enum class Word { kNone, kLeave, kEnded };
  [[nodiscard]] Word read();
  // After kEnded: how, once.
  [[nodiscard]] std::string died();
  // After died(): goes on with another that listens at the path, as where it is a service that was restarted,
  // and waits a second for it at most. False: nobody listens there.
  // Errors: it is of another version, or takes nothing.
  [[nodiscard]] Result<bool> rejoin();
  [[nodiscard]] bool comes_back() const { return !path_.empty(); }  // it may

 private:
  // What is watched for a collector, apart from its source, which may be gone before watch() is told.
  struct Watched {
    UniqueFd events;
    TableGauge::Descriptors files;
    std::shared_ptr<EventRegion> region;  // none: nothing is
  };

  GuardProcess(std::string path, std::optional<unsigned> percent)
      : path_(std::move(path)), percent_(percent.value_or(0)) {}
  [[nodiscard]] Result<void> tell(std::size_t index) const;

  const std::string path_;  // empty: it ends with this process
  const unsigned percent_;
  std::optional<HelperProcess> process_;  // that ends with this one
  UniqueFd link_;                         // to one that does not
  std::vector<Watched> watched_;
};

}  // namespace natsession
