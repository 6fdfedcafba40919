// Status: what the daemon says of itself when it is asked: logging, and the reports of collectors, sinks and
// the ledger. What a field means is told to users in natsessionctl(1) and in the HELP of each metric.
// Threads: plain value types.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/time.h"
#include "delivery/delivery_report.h"
#include "identity/identity_report.h"
#include "net/ip_address.h"
#include "record/labels.h"
#include "record/session_record.h"
#include "session/collector_report.h"

namespace natsession {

struct Status {
  std::string version;
  std::string build;  // compiler and kind of build
  UnixMs started;
  UnixMs now;           // when this was told
  bool logging = true;  // false: disabled on request, nothing is subscribed
  std::vector<CollectorReport> collectors;
  std::vector<SinkReport> sinks;
  std::optional<LedgerReport> ledger;
  std::optional<IdentityReport> identity;
  friend bool operator==(const Status&, const Status&) = default;
};

// How far one public address is used up in one protocol.
struct PortUse {
  std::string netns;  // empty: the daemon's own
  IpAddress nat_ip;
  std::uint8_t protocol = 0;
  std::uint64_t ports = 0;     // different nat_port values in use
  std::uint64_t sessions = 0;  // more than ports where several share one towards different peers
  friend bool operator==(const PortUse&, const PortUse&) = default;
};

// Sessions that are open now, as records: event interim; origin has the network namespace alone; start_time
// is when it began, or was first seen, and session_start is set where it is known when it began; end_time is
// `now`; counters are since the session began.
struct SessionsAnswer {
  std::vector<SessionRecord> sessions;
  bool more = false;      // there are more than the limit allows
  bool recorded = false;  // on request: the ledger has all sessions that ended before these were looked at
  UnixMs now;
  friend bool operator==(const SessionsAnswer&, const SessionsAnswer&) = default;
};

// What is in use now, counted, whatever the number is; it may be some seconds old.
struct PortsAnswer {
  std::vector<PortUse> ports;
  friend bool operator==(const PortsAnswer&, const PortsAnswer&) = default;
};

template <>
struct Rows<PortUse> {
  static void visit(auto& use, auto row) {
    row(member("netns"), use.netns);
    row(member("nat_ip"), use.nat_ip);
    row(member("protocol"), use.protocol);
    row(member("ports"), use.ports);
    row(member("sessions"), use.sessions);
  }
};

template <>
struct Rows<PortsAnswer> {
  static void visit(auto& answer, auto row) { row(member("ports"), answer.ports); }
};

template <>
struct Rows<Status> {
  static void visit(auto& status, auto row) {
    row(member("version"), status.version);
    row(member("build"), status.build);
    row(member("started"), status.started);
    row(member("now"), status.now);
    row(member("logging_enabled"), status.logging);
    row(member("collectors"), status.collectors);
    row(member("sinks"), status.sinks);
    row(member("ledger"), status.ledger);
    row(member("identity"), status.identity);
  }
};

template <>
struct Rows<SessionRecord> {
  static void visit(auto& session, auto row) {
    std::string netns = session.origin != nullptr ? session.origin->netns : std::string();
    bool since_exact = session.session_start.has_value();
    row(member("netns"), netns);
    row(member("protocol"), session.protocol);
    row(member("pri_ip"), session.pri_ip);
    row(member("pri_port"), session.pri_port);
    row(member("pub_ip"), session.pub_ip);
    row(member("pub_port"), session.pub_port);
    row(member("nat_ip"), session.nat_ip);
    row(member("nat_port"), session.nat_port);
    row(member("tcp_state"), session.tcp_state);
    row(member("zone"), session.zone);
    row(member("mark"), session.mark);
    row(member("since"), session.start_time);
    row(member("since_exact"), since_exact);
    row(member("bytes_from_vpc"), session.bytes_from_vpc);
    row(member("pkts_from_vpc"), session.pkts_from_vpc);
    row(member("bytes_from_pub"), session.bytes_from_pub);
    row(member("pkts_from_pub"), session.pkts_from_pub);
    if constexpr (!std::is_const_v<std::remove_reference_t<decltype(session)>>) {
      session.event = RecordEvent::kInterim;
      session.session_start = since_exact ? std::optional(session.start_time) : std::nullopt;
      const auto origin = intern_origin({}, netns);
      if (!origin) throw std::length_error(origin.error().message);
      session.origin = *origin;
    }
  }
};

template <>
struct Rows<SessionsAnswer> {
  static void visit(auto& answer, auto row) {
    row(member("now"), answer.now);
    row(member("more"), answer.more);
    row(member("recorded"), answer.recorded);
    row(member("sessions"), answer.sessions);
  }
};

}  // namespace natsession
