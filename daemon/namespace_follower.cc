#include "namespace_follower.h"

#include <algorithm>

#include <fmt/format.h>
#include <poll.h>

#include "messages.h"

namespace natsession {
namespace {

// Between two tries to enter a namespace.
constexpr std::chrono::seconds kPause{1};

// What `ip netns add` makes can be entered a moment later than it can be seen: told is what stays so.
constexpr int kFailuresTold = 2;

bool readable(int fd) {
  pollfd poller{fd, POLLIN, 0};
  return ::poll(&poller, 1, 0) > 0;
}

}  // namespace

NamespaceFollower::NamespaceFollower(NamespaceOpener& opener, std::vector<NamespaceIdentity> identities,
                                     Collectors& collectors, const RefusedThreads& refused,
                                     ControlService& service, Hold hold, const Clock& clock)
    : opener_(opener),
      followed_(identities.size()),
      collectors_(collectors),
      refused_(refused),
      service_(service),
      hold_(std::move(hold)),
      clock_(clock) {
  for (std::size_t i = 0; i < identities.size(); ++i) followed_[i].identity = identities[i];
}

void NamespaceFollower::tick() {
  if (readable(opener_.link())) take_answer();
  for (std::size_t i = 0; i < followed_.size(); ++i) {
    Followed& it = followed_[i];
    if (collectors_[i]->departures() == it.served) continue;
    if (it.identity) let_go(i);
    const std::string& name = collectors_[i]->netns();
    if (it.asked || opener_.link() < 0 || clock_.steady() < it.try_at || !NetworkNamespace::outlives(name) ||
        !NetworkNamespace::identify(name)) {
      continue;
    }
    it.try_at = clock_.steady() + kPause;
    const auto asked = opener_.ask(i);
    it.asked = static_cast<bool>(asked);
    if (!asked) failed(i, asked.error().message);
  }
}

void NamespaceFollower::let_go(std::size_t index) {
  const std::string& name = collectors_[index]->netns();
  followed_[index].identity.reset();
  followed_[index].failures = 0;
  service_.set_table(index, nullptr);
  if (!refused_.empty()) refused_[index]->leave();
  hold_(index, nullptr);
  log_warning(fmt::format(
      "netns {}: {}", name,
      NetworkNamespace::outlives(name)
          ? "the network namespace of this name is gone; the log goes on when there is one again, with a gap "
            "record for the time in between"
          : "the process is gone, whose network namespace it was; it is not logged any more"));
}

void NamespaceFollower::take_answer() {
  auto answer = opener_.take();
  if (!answer) {
    log_error(
        fmt::format("natsess-netns: {}; a network namespace that is made anew under its name is not "
                    "followed any more; a restart brings that back",
                    opener_.ended()));
    return;
  }
  followed_[answer->index].asked = false;
  if (!answer->setup) return failed(answer->index, answer->setup.error().message);
  for (std::size_t i = 0; i < followed_.size(); ++i) {
    if (followed_[i].identity == answer->setup->identity) {
      return failed(answer->index,
                    fmt::format("it is the same network namespace as \"{}\"", collectors_[i]->netns()));
    }
  }
  go_on(answer->index, *std::move(answer->setup));
}

void NamespaceFollower::failed(std::size_t index, const std::string& why) {
  if (++followed_[index].failures != kFailuresTold) return;
  log_error(fmt::format("netns {}: cannot be logged yet: {}", collectors_[index]->netns(), why));
}

void NamespaceFollower::go_on(std::size_t index, KernelSetup setup) {
  CollectorThread& collector = *collectors_[index];
  Followed& it = followed_[index];
  it.identity = setup.identity;
  it.served = collector.departures();
  hold_(index, setup.source.get());
  service_.set_table(index, std::move(setup.table));
  if (!refused_.empty() && setup.refused)
    refused_[index]->go_on(*std::move(setup.refused), *std::move(setup.refused_names));
  collector.go_on(std::move(setup.source), std::move(setup.interfaces), setup.identity);
  log_info(
      fmt::format("netns {}: there is one again, which is logged from here on; sessions of the one before "
                  "have ended",
                  collector.netns()));
}

}  // namespace natsession
