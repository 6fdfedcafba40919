// NamespaceFollower: a namespace of --netns is meant by its name. Where it is deleted, or another one takes
// its name, its collector ends logging by itself; this one says so, lets go of what else would keep it, and
// has the collector go on with the next one of that name, once there is one.
// Threads: the main one.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control_service.h"
#include "namespace_opener.h"
#include "refused_thread.h"

namespace natsession {

class NamespaceFollower {
 public:
  // Called for each collector whose source has changed, or is gone: who holds it for when this program does
  // not run is to hold the other one.
  using Hold = std::function<void(std::size_t index, const ConntrackSource* source)>;
  // All outlive it. `identities` are which the collectors watch now.
  // `refused`: one for each collector, or none at all.
  NamespaceFollower(NamespaceOpener& opener, std::vector<NamespaceIdentity> identities,
                    Collectors& collectors, const RefusedThreads& refused, ControlService& service, Hold hold,
                    const Clock& clock);

  // Readable when there is something for tick() to do, which else is to be called once a second or so.
  [[nodiscard]] int link() const { return opener_.link(); }
  void tick();

 private:
  struct Followed {
    std::optional<NamespaceIdentity> identity;  // none while it is gone
    std::uint64_t served = 0;                   // departures that another namespace has followed
    bool asked = false;
    int failures = 0;                   // since it is gone
    std::chrono::nanoseconds try_at{};  // not before; steady
  };

  void let_go(std::size_t index);
  void take_answer();
  void failed(std::size_t index, const std::string& why);
  void go_on(std::size_t index, KernelSetup setup);

  NamespaceOpener& opener_;
  std::vector<Followed> followed_;  // of each collector
  Collectors& collectors_;
  const RefusedThreads& refused_;
  ControlService& service_;
  const Hold hold_;
  const Clock& clock_;
};

}  // namespace natsession
