#include "legacy.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <unistd.h>

#include "ledger/ledger_open_sessions.h"
#include "messages.h"

namespace natsession {
namespace {

// Records that were lost with the memory of a process that was killed may be a little older than the newest
// one that was written: an end may be told late.
constexpr std::chrono::seconds kSlack{2};

// Where the kernel does not tell when its oldest session began, and at most.
constexpr std::chrono::hours kUsualAge{24};
constexpr std::chrono::hours kLargestAge{24 * 7};

UnixMs oldest_start(const std::vector<KernelSetup>& setups, UnixMs now) {
  UnixMs oldest = now;
  for (const KernelSetup& setup : setups) {
    const auto start = setup.table->oldest_start();
    oldest = std::min(oldest, start && *start ? **start : now - kUsualAge);
  }
  return std::max(oldest, now - kLargestAge);
}

}  // namespace

Legacy::Legacy(const Config& config, const LedgerPort* ledger) : config_(config) {
  if (ledger != nullptr) torn_since_ = ledger->torn_since();
}

// Each namespace has a file of its own: FILE, or FILE.NAME when there are several.
std::string Legacy::state_file_of(const std::string& netns) const {
  std::string file = config_.state_file;
  if (file.empty() && !config_.ledger.empty()) file = config_.ledger + "/state";
  if (file.empty() || config_.netns.size() < 2) return file;
  std::string suffix = netns;
  std::replace(suffix.begin(), suffix.end(), '/', '_');
  return file + "." + suffix;
}

void Legacy::read(const std::vector<KernelSetup>& setups, const std::vector<const Origin*>& origins) {
  const std::vector<std::string> namespaces = watched_namespaces(config_);
  for (std::size_t i = 0; i < setups.size(); ++i) {
    Place& place = places_.emplace_back();
    place.state_file = state_file_of(namespaces[i]);
    place.boot_id = setups[i].boot_id;
    if (!place.state_file.empty()) read_state(place);
  }
  if (torn_since_) read_ledger(setups, origins);
}

// The predecessor's file counts once: left in place, it would be believed after a crash, too.
void Legacy::read_state(Place& place) const {
  auto state = read_state_file(place.state_file, place.boot_id);
  if (!state) {
    log_warning(
        fmt::format("{}; sessions that were open at the last stop are reported from their beginning again",
                    state.error().message));
  } else if (*state) {
    place.state = std::move(**state);
    log_info(fmt::format("state file {}: {} sessions were open at the last stop", place.state_file,
                         place.state->sessions.size()));
  }
  if (::unlink(place.state_file.c_str()) != 0 && errno != ENOENT) {
    log_warning(system_error("state file " + place.state_file + ": unlink", errno).message);
  }
}

void Legacy::read_ledger(const std::vector<KernelSetup>& setups, const std::vector<const Origin*>& origins) {
  const UnixMs now = to_ms(SystemClock().now());
  const UnixMs from = std::min(oldest_start(setups, now), *torn_since_);
  auto open = read_open_sessions(config_.ledger, from);
  if (!open) {
    log_warning(fmt::format("{}; sessions that were open then are reported from their beginning again",
                            open.error().message));
    return;
  }
  std::size_t count = 0;
  for (std::size_t i = 0; i < setups.size(); ++i) {
    if (places_[i].state) continue;
    const auto found = open->find(origins[i]->netns);
    places_[i].open = found == open->end() ? OpenSessions() : std::move(found->second);
    count += places_[i].open->size();
  }
  log_warning(fmt::format(
      "the last run ended without a stop: the log has a gap record for the time since; {} sessions "
      "were open in the ledger",
      count));
}

void Legacy::hand_to(CollectorThread& collector, std::size_t index) {
  Place& place = places_[index];
  if (place.state) {
    collector.restore(*place.state);
    place.state.reset();
  } else if (torn_since_) {
    collector.restore(place.open ? std::move(*place.open) : OpenSessions(), *torn_since_ - kSlack);
    place.open.reset();
  }
}

Result<void> Legacy::save(CollectorThread& collector, std::size_t index) const {
  const Place& place = places_[index];
  if (place.state_file.empty()) return {};
  return collector.save_state(place.state_file, place.boot_id);
}

}  // namespace natsession
