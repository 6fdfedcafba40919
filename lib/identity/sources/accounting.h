// Accounting: what a RADIUS client reports of a session, from a packet or from a detail file, and what that
// says of whose an address is.
// Threads: any; a plain value type, and a function of it.
// Source: RFC 2866, 2869, 3162, 4818, 6911
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "identity/identity_source.h"

namespace natsession {

// One report.
struct AccountingReport {
  enum class Status : std::uint8_t { kNone, kStart, kStop, kInterim, kOn, kOff, kOther };

  Status status = Status::kNone;
  std::string user, calling_station, session_id, cls, nas_identifier;
  std::optional<IpAddress> nas_address;
  std::vector<Prefix>
      prefixes;  // Framed-IP-Address, Framed-IPv6-Prefix, Framed-IPv6-Address, Delegated-IPv6-Prefix
  std::optional<std::uint64_t> delay_seconds;    // Acct-Delay-Time
  std::optional<std::uint64_t> session_seconds;  // Acct-Session-Time
  std::optional<UnixMs> event;                   // Event-Timestamp
  UnixMs received;

  void clear() { *this = {}; }
  // When it happened: Event-Timestamp, or what came when less Acct-Delay-Time. Never later than it came; a
  // clock that is a day behind is not believed.
  [[nodiscard]] UnixMs happened() const;
  // Its Event-Timestamp is of more than a day before it was sent, by a clock that had been set: what was said
  // then is said again, perhaps by somebody else.
  [[nodiscard]] bool is_stale() const;
};

// `client`: who sent it, where it does not say.
void tell_accounting(const AccountingReport& report, std::string_view client, IdentityOutput& output);

}  // namespace natsession
