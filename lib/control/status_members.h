// The members of what status_json.h writes and reads, and their names in JSON: once for both directions. Only
// for status_json.cc.
// Threads: any.
#pragma once

#include <stdexcept>

#include "control/status.h"
#include "record/labels.h"

namespace natsession::status_members {

// visit(object, member) calls member(name, value) for each, in the order in which they are written.
template <typename T>
struct Members;

template <typename T>
concept Object = requires {
  sizeof(Members<T>);
};

template <>
struct Members<EventCounts> {
  static void visit(auto& events, auto member) {
    member("new", events.added);
    member("update", events.updated);
    member("destroy", events.destroyed);
  }
};

template <>
struct Members<RecordCounts> {
  static void visit(auto& records, auto member) {
    member("start", records.starts);
    member("interim", records.interims);
    member("end", records.ends);
    member("gap", records.gaps);
  }
};

template <>
struct Members<CollectorReport> {
  static void visit(auto& collector, auto member) {
    member("netns", collector.netns);
    member("ready", collector.ready);
    member("live_sessions", collector.live);
    member("events", collector.events);
    member("records", collector.records);
    member("events_per_second", collector.events_per_second);
    member("records_per_second", collector.records_per_second);
    member("events_delayed", collector.events_delayed);
    member("events_lost", collector.events_lost);
    member("gaps", collector.gaps);
    member("reliable", collector.reliable);
    member("guard_tripped", collector.guard_tripped);
    member("guard_trips", collector.guard_trips);
    member("vanished", collector.vanished);
    member("not_followed", collector.not_followed);
    member("malformed", collector.malformed);
    member("dumps_failed", collector.dumps_failed);
    member("receive_buffer_bytes", collector.receive_buffer_bytes);
  }
};

template <>
struct Members<SinkReport> {
  static void visit(auto& sink, auto member) {
    member("name", sink.name);
    member("destination", sink.destination);
    member("enabled", sink.enabled);
    member("state", sink.state);
    member("code", sink.code);
    member("message", sink.message);
    member("last_failure_at", sink.last_failure_at);
    member("delivered", sink.delivered);
    member("retried", sink.retried);
    member("waiting", sink.waiting);
    member("dropped", sink.dropped);
    member("rejected", sink.rejected);
    member("oldest_waiting_seconds", sink.oldest_waiting);
    member("suspended_until", sink.suspended_until);
  }
};

template <>
struct Members<LedgerReport> {
  static void visit(auto& ledger, auto member) {
    member("directory", ledger.directory);
    member("bytes", ledger.bytes);
    member("limit_bytes", ledger.limit_bytes);
    member("segments", ledger.segments);
    member("sealed_segments", ledger.sealed_segments);
    member("records", ledger.records);
    member("oldest", ledger.oldest);
    member("retention_seconds", ledger.retention);
    member("appended", ledger.appended);
    member("pending", ledger.pending);
    member("append_failures", ledger.append_failures);
    member("dropped", ledger.dropped);
    member("deleted_segments", ledger.deleted_segments);
    member("deleted_unread_records", ledger.deleted_unread_records);
    member("damaged_frames", ledger.damaged_frames);
    member("failure", ledger.failure);
    member("upkeep_failure", ledger.upkeep_failure);
  }
};

template <>
struct Members<Status> {
  static void visit(auto& status, auto member) {
    member("version", status.version);
    member("build", status.build);
    member("started", status.started);
    member("now", status.now);
    member("logging_enabled", status.logging);
    member("collectors", status.collectors);
    member("sinks", status.sinks);
    member("ledger", status.ledger);
  }
};

template <>
struct Members<SessionRecord> {
  static void visit(auto& session, auto member) {
    std::string netns = session.origin != nullptr ? session.origin->netns : std::string();
    bool since_exact = session.session_start.has_value();
    member("netns", netns);
    member("protocol", session.protocol);
    member("pri_ip", session.pri_ip);
    member("pri_port", session.pri_port);
    member("pub_ip", session.pub_ip);
    member("pub_port", session.pub_port);
    member("nat_ip", session.nat_ip);
    member("nat_port", session.nat_port);
    member("tcp_state", session.tcp_state);
    member("zone", session.zone);
    member("mark", session.mark);
    member("since", session.start_time);
    member("since_exact", since_exact);
    member("bytes_from_vpc", session.bytes_from_vpc);
    member("pkts_from_vpc", session.pkts_from_vpc);
    member("bytes_from_pub", session.bytes_from_pub);
    member("pkts_from_pub", session.pkts_from_pub);
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
struct Members<SessionsAnswer> {
  static void visit(auto& answer, auto member) {
    member("now", answer.now);
    member("more", answer.more);
    member("sessions", answer.sessions);
  }
};

}  // namespace natsession::status_members
