#include "identity/sources/accounting.h"

#include <algorithm>
#include <array>
#include <string>

#include "identity/sources/words.h"

namespace natsession {
namespace {

constexpr std::chrono::hours kBelieved{24};  // how old an Event-Timestamp may be

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

void tell_accounting(const AccountingReport& report, std::string_view client, IdentityOutput& output) {
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
    // Many a Stop says no addresses, or not all that came to the session.
    for (const Prefix& prefix : report.prefixes) tell_ended(output, prefix, report.session_id, at);
    tell_ended_session(output, group, report.session_id, at);
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
  }
}

}  // namespace natsession
