#include "identity/sources/accounting.h"

#include <algorithm>
#include <cstring>

#include "identity/sources/words.h"

namespace natsession {
namespace {

constexpr std::uint64_t kMostPrefixes = 16;  // of one session
constexpr std::chrono::hours kBelieved{24};  // how old an Event-Timestamp may be

std::uint64_t mixed_text(const SeededHash& hash, std::uint64_t state, std::string_view text) {
  state = hash(std::array<std::uint64_t, 2>{state, text.size()});
  while (!text.empty()) {
    std::uint64_t word = 0;
    const std::size_t taken = std::min(text.size(), sizeof word);
    std::memcpy(&word, text.data(), taken);
    text.remove_prefix(taken);
    state = hash(std::array<std::uint64_t, 2>{state, word});
  }
  return state;
}

}  // namespace

bool AccountingReport::is_stale() const {
  // A clock that was never set tells of 1970, or of when its firmware was made: that says nothing of when
  // this was sent.
  constexpr UnixMs kClockWasSet{std::chrono::hours(24 * 365 * 55)};
  const std::uint64_t delay = std::min<std::uint64_t>(delay_seconds.value_or(0), 30 * 86'400);
  return event && *event > kClockWasSet && *event + kBelieved < received - std::chrono::seconds(delay);
}

UnixMs AccountingReport::happened() const {
  const std::uint64_t delay = std::min<std::uint64_t>(delay_seconds.value_or(0), 30 * 86'400);
  const UnixMs sent = std::max(received - std::chrono::seconds(delay), UnixMs{});
  if (!event || *event + kBelieved < sent) return sent;
  // It has whole seconds: one that lies within the one before is as good as the time that it came.
  if (*event <= sent && sent - *event < std::chrono::seconds(1)) return sent;
  return std::min(*event, received);
}

std::uint64_t Accounting::key_of(std::string_view group, std::string_view session,
                                 std::uint64_t number) const {
  return mixed_text(hash_, mixed_text(hash_, number, group), session);
}

void Accounting::remember(std::string_view group, std::string_view session, const Prefix& prefix) {
  for (std::uint64_t number = 0; number < kMostPrefixes; ++number) {
    const std::uint64_t key = key_of(group, session, number);
    const auto found = remembered_.find(key);
    if (found == remembered_.end()) {
      if (remembered_.size() < kMaxRemembered) remembered_.emplace(key, prefix);
      return;
    }
    if (found->second == prefix) return;
  }
}

void Accounting::tell(const AccountingReport& report, std::string_view client, IdentityOutput& output) {
  using Status = AccountingReport::Status;
  const UnixMs at = report.happened();
  const std::string nas = report.nas_address ? report.nas_address->to_string() : std::string();
  const std::string_view group = !report.nas_identifier.empty() ? std::string_view(report.nas_identifier)
                                 : !nas.empty()                 ? std::string_view(nas)
                                                                : client;
  switch (report.status) {
    case Status::kOn:
    case Status::kOff:
      tell_ended_group(output, group, at);
      return;
    case Status::kStart:
    case Status::kInterim:
    case Status::kStop:
      break;
    case Status::kNone:
      output.refused("a RADIUS report without Acct-Status-Type, from " + std::string(client));
      return;
    case Status::kOther:  // Failed, Tunnel-Start …: of no session with an address
      return;
  }
  if (report.session_id.empty()) {
    output.refused("a RADIUS report without Acct-Session-Id, from " + std::string(client));
    return;
  }
  if (report.status == Status::kStop) {
    // What it says itself, and what was said of the session before.
    for (const Prefix& prefix : report.prefixes) tell_ended(output, prefix, report.session_id, at);
    std::vector<std::uint64_t> keys;
    for (std::uint64_t number = 0; number < kMostPrefixes; ++number) {
      const auto found = remembered_.find(key_of(group, report.session_id, number));
      if (found == remembered_.end()) break;
      keys.push_back(found->first);
      if (std::find(report.prefixes.begin(), report.prefixes.end(), found->second) == report.prefixes.end())
        tell_ended(output, found->second, report.session_id, at);
    }
    for (const std::uint64_t key : keys) remembered_.erase(key);
    return;
  }
  SeenAssignment seen;
  seen.kind = AssignmentKind::kSession;
  const std::string mac = mac_of(report.calling_station);
  seen.mac = mac;
  seen.subscriber = !report.user.empty()  ? std::string_view(report.user)
                    : !report.cls.empty() ? std::string_view(report.cls)
                    : !mac.empty()        ? std::string_view(mac)
                                          : std::string_view(report.calling_station);
  seen.id = report.session_id;
  seen.group = group;
  if (report.status == Status::kStart) {
    seen.since = at;
  } else if (report.session_seconds &&
             *report.session_seconds <=
                 static_cast<std::uint64_t>(
                     std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count())) {
    // When the session began; an address may have come to it later.
    seen.since = at - std::chrono::seconds(*report.session_seconds);
  }
  for (const Prefix& prefix : report.prefixes) {
    seen.prefix = prefix;
    tell_seen(output, seen, at);
    remember(group, report.session_id, prefix);
  }
  if (remembered_.size() >= kMaxRemembered && !std::exchange(told_full_, true))
    output.refused("more sessions of RADIUS than are remembered: a Stop without addresses may end none");
}

}  // namespace natsession
