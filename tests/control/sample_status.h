// A status in which every field has a value of its own, so that none can be mistaken for another.
#pragma once

#include "control/status.h"
#include "record/labels.h"
#include "support/session_between.h"

namespace natsession::testing {

inline UnixMs at(std::int64_t milliseconds) {
  return UnixMs(std::chrono::milliseconds(milliseconds));
}

inline CollectorReport sample_collector(std::string netns) {
  CollectorReport collector;
  collector.netns = std::move(netns);
  collector.ready = true;
  collector.reliable = true;
  collector.open = 12345;
  collector.groups = {true, false, true};
  collector.groups_why = EventsWhy::kNoStamps;
  collector.sysctls = {.events = true, .acct = false, .timestamp = std::nullopt};
  collector.events = {101, 102, 103};
  collector.records = {201, 202, 203, 204};
  collector.events_per_second = 20000.5;
  collector.records_per_second = 301.25;
  collector.events_delayed = 401;
  collector.events_lost = 402;
  collector.guard_trips = 404;
  collector.vanished = 405;
  collector.not_followed = 406;
  collector.malformed = 407;
  collector.passes_failed = 408;
  collector.counters_reset = 409;
  collector.truncated = 410;
  collector.foreign = 411;
  collector.unknown_attributes = 412;
  collector.receive_buffer_bytes = 67108864;
  collector.table_entries = 413;
  collector.table_limit = 262144;
  return collector;
}

inline SinkReport sample_sink() {
  SinkReport sink;
  sink.name = "file:/var/log/nat.json";
  sink.delivered = 501;
  sink.retried = 502;
  sink.waiting = 503;
  sink.dropped = 504;
  sink.rejected = 505;
  sink.dead_lettered = 506;
  sink.dead_letters_lost = 507;
  sink.oldest_waiting = std::chrono::milliseconds(1500);
  return sink;
}

inline SinkReport sample_failed_sink() {
  SinkReport sink;
  sink.name = "syslog+tls://log.example.net:6514";
  sink.state = DeliveryState::kFailed;
  sink.code = "Unauthorized";
  sink.message = "certificate \"nat\" was refused\nby the peer";
  sink.last_failure_at = at(1'795'263'600'250);
  sink.delivered = 601;
  sink.retried = 602;
  sink.waiting = 603;
  sink.oldest_waiting = std::chrono::minutes(4);
  sink.suspended_until = at(1'795'263'900'250);
  return sink;
}

inline SinkReport sample_flow_log() {
  SinkReport sink;
  sink.name = "flow_log edge";
  sink.delivered = 651;
  sink.no_data = 661;
  sink.skipped = 662;
  sink.left_out = 663;
  return sink;
}

inline LedgerReport sample_ledger() {
  LedgerReport ledger;
  ledger.directory = "/var/lib/natsessiond/ledger";
  ledger.bytes = 1'288'490'189;
  ledger.limit_bytes = 21'474'836'480;
  ledger.segments = 40;
  ledger.sealed_segments = 38;
  ledger.records = 120'345'678;
  ledger.oldest = at(1'793'000'000'000);
  ledger.retention = std::chrono::hours(24 * 30);
  ledger.appended = 701;
  ledger.pending = 702;
  ledger.append_failures = 703;
  ledger.dropped = 704;
  ledger.deleted_segments = 705;
  ledger.deleted_unread_records = 706;
  ledger.damaged_frames = 707;
  return ledger;
}

inline IdentityReport sample_identity() {
  IdentityReport identity;
  IdentitySourceReport leases;
  leases.source = "dnsmasq:/var/lib/misc/dnsmasq.leases";
  leases.open = 801;
  leases.begun = 802;
  leases.ended = 803;
  leases.followed_until = at(1'795'263'661'000);
  IdentitySourceReport radius;
  radius.source = "radius://192.0.2.1:1813";
  radius.refused = 804;
  radius.losses = 805;
  radius.problem = "192.0.2.7: no secret is known of this client";
  identity.sources = {leases, radius};
  identity.memory_bytes = 806;
  return identity;
}

inline Status sample_status() {
  Status status;
  status.version = "0.1.0";
  status.build = "GNU 12.2.0 Release";
  status.started = at(1'795'000'000'125);
  status.now = at(1'795'263'662'108);
  status.collectors = {sample_collector("")};
  status.sinks = {sample_sink(), sample_failed_sink(), sample_flow_log()};
  status.ledger = sample_ledger();
  status.identity = sample_identity();
  return status;
}

inline SessionRecord sample_session() {
  SessionRecord session =
      session_between(6, {"10.0.0.5", 40000}, {"198.51.100.7", 443}, {"203.0.113.1", 1024});
  session.origin = *intern_origin("", "");
  session.event = RecordEvent::kInterim;
  session.tcp_state = TcpState::kEstablished;
  session.zone = 7;
  session.mark = 42;
  session.start_time = at(1'795'263'600'000);
  session.session_start = session.start_time;
  session.bytes_from_vpc = Count(1500);
  session.pkts_from_vpc = Count(3);
  session.bytes_from_pub = Count(150'000);
  session.pkts_from_pub = Count(104);
  return session;
}

inline SessionRecord sample_session6() {
  SessionRecord session =
      session_between(17, {"fd64::2", 53000}, {"2001:db8:113::80", 53}, {"2001:db8:113::1", 53000});
  session.origin = *intern_origin("", "blue");
  session.event = RecordEvent::kInterim;
  session.start_time = at(1'795'263'660'000);
  return session;
}

}  // namespace natsession::testing
