// CollectorReport: what a collector says of itself, published as a whole. The counters are kept where they
// are counted, in structs that the report consists of: a new one is a member and a row here, and where it
// counts.
// Threads: plain value types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/report_row.h"
#include "base/time.h"
#include "record/session_record.h"
#include "session/event_choice.h"

namespace natsession {

struct EventCounts {
  std::uint64_t added = 0;  // NEW
  std::uint64_t updated = 0;
  std::uint64_t destroyed = 0;
  [[nodiscard]] std::uint64_t total() const { return added + updated + destroyed; }
  friend bool operator==(const EventCounts&, const EventCounts&) = default;
};

struct RecordCounts {
  std::uint64_t starts = 0;
  std::uint64_t interims = 0;
  std::uint64_t ends = 0;
  std::uint64_t gaps = 0;
  [[nodiscard]] std::uint64_t& of(RecordEvent event) {
    switch (event) {
      case RecordEvent::kStart:
        return starts;
      case RecordEvent::kInterim:
        return interims;
      case RecordEvent::kEnd:
        return ends;
      case RecordEvent::kGap:
      case RecordEvent::kAllocate:  // sinks alone have these two
      case RecordEvent::kFree:
        break;
    }
    return gaps;
  }
  [[nodiscard]] std::uint64_t total() const { return starts + interims + ends + gaps; }
  friend bool operator==(const RecordCounts&, const RecordCounts&) = default;
};

// The tracker's. Counters here and below are since the start.
struct TrackerCounters {
  EventCounts events;
  RecordCounts records;
  std::uint64_t destroys_unseen = 0;  // DESTROY of a session that was never seen before: logged all the same
  std::uint64_t updates_unseen = 0;   // UPDATE of one: the next dump or its DESTROY tells of it
  std::uint64_t late_destroys = 0;    // DESTROY of a session that was closed as vanished: no second end
  std::uint64_t adopted = 0;          // first seen in a dump
  std::uint64_t vanished = 0;
  std::uint64_t reused = 0;          // a new session on the key of a live one, whose DESTROY was lost
  std::uint64_t not_followed = 0;    // beyond max_sessions
  std::uint64_t counters_reset = 0;  // a flow's counters went back: somebody zeroed them (conntrack -Z)
  friend bool operator==(const TrackerCounters&, const TrackerCounters&) = default;
};

// The collector's own.
struct CollectorCounters {
  std::uint64_t overruns = 0;     // turns that found messages lost
  std::uint64_t events_lost = 0;  // messages that the kernel could not queue, and are gone
  // Messages that it could not queue in reliable mode: a DESTROY comes again, each try is counted; a NEW or
  // UPDATE is gone, which harms no record.
  std::uint64_t events_delayed = 0;
  std::uint64_t guard_trips = 0;      // how often reliable mode went off
  std::uint64_t passes = 0;           // dumps that were begun
  std::uint64_t passes_failed = 0;    // and failed, or were interrupted
  std::uint64_t held_back_turns = 0;  // turns in which the output had no room
  friend bool operator==(const CollectorCounters&, const CollectorCounters&) = default;
};

// The source's: of events and dumps together.
struct SourceCounters {
  std::uint64_t malformed = 0;           // messages that could not be decoded
  std::uint64_t truncated = 0;           // messages longer than a slot
  std::uint64_t foreign = 0;             // messages that another process sent, not the kernel: ignored
  std::uint64_t unknown_attributes = 0;  // of a newer kernel: passed over
  SourceCounters& operator+=(const SourceCounters& more) {
    malformed += more.malformed;
    truncated += more.truncated;
    foreign += more.foreign;
    unknown_attributes += more.unknown_attributes;
    return *this;
  }
  friend bool operator==(const SourceCounters&, const SourceCounters&) = default;
};

// What flow logs have of the namespace.
struct FlowCounters {
  std::uint64_t flows = 0;               // that are followed for them
  std::uint64_t interfaces_unknown = 0;  // how often it was not known which interface an address is at
  std::uint64_t refused_packets = 0;     // copies that were received
  std::uint64_t refused_lost = 0;        // copies that were not
  std::uint64_t refused_left_out = 0;    // packets of flows that found no room among those that are added up
  friend bool operator==(const FlowCounters&, const FlowCounters&) = default;
};

// What the kernel does for flows that begin now, by the sysctls net.netfilter.nf_conntrack_*. None: it cannot
// be read, as in some containers.
struct ConntrackSysctls {
  std::optional<bool> events;     // not 0
  std::optional<bool> acct;       // not 0
  std::optional<bool> timestamp;  // not 0
  // What is taken to hold where nothing can be read.
  [[nodiscard]] bool sends_events() const { return events.value_or(true); }
  [[nodiscard]] bool stamps_sessions() const { return timestamp.value_or(false); }
  friend bool operator==(const ConntrackSysctls&, const ConntrackSysctls&) = default;
};

// One network namespace.
struct CollectorReport : TrackerCounters, CollectorCounters, SourceCounters, FlowCounters {
  std::string netns;           // empty: the daemon's own
  bool ready = false;          // every session that was there at the start is known
  bool reliable = false;       // reliable mode is on at this moment
  bool guard_tripped = false;  // it is off because the conntrack table was filling
  bool gone = false;           // there is no namespace of this name any more, or not the one that was watched
  std::uint64_t live = 0;      // sessions that are followed
  // Sessions that are open. Without NEW those that began after the last dump are not followed; then whoever
  // wants to know has to count. None: it is not known.
  std::optional<std::uint64_t> open;
  EventGroups groups;  // that are subscribed to
  EventsWhy groups_why = EventsWhy::kConfigured;
  ConntrackSysctls sysctls;
  double away_seconds = 0;  // without a process, before this one took over from another
  double events_per_second = 0;
  double records_per_second = 0;
  std::uint64_t receive_buffer_bytes = 0;  // as granted
  // The conntrack table's, of all flows: nf_conntrack_count and nf_conntrack_max (0: no limit). None: it
  // cannot be read.
  std::optional<std::uint64_t> table_entries, table_limit;
  // What is proved: all sessions that ended between these times are recorded, but for what gap records tell.
  // None while that is not known.
  std::optional<UnixMs> covered_from, covered_until;
  bool covered_whole = false;  // sessions that were open at covered_until have a record as well
  friend bool operator==(const CollectorReport&, const CollectorReport&) = default;
};

template <>
struct Rows<EventCounts> {
  static void visit(auto& events, auto row) {
    row(member("new"), events.added);
    row(member("update"), events.updated);
    row(member("destroy"), events.destroyed);
  }
};

template <>
struct Rows<RecordCounts> {
  static void visit(auto& records, auto row) {
    row(member("start"), records.starts);
    row(member("interim"), records.interims);
    row(member("end"), records.ends);
    row(member("gap"), records.gaps);
  }
};

template <>
struct Rows<EventGroups> {
  static void visit(auto& groups, auto row) {
    row(member("new"), groups.new_);
    row(member("update"), groups.update);
    row(member("destroy"), groups.destroy);
  }
};

// The text says what it means when it is off.
template <>
struct Rows<ConntrackSysctls> {
  static void visit(auto& sysctls, auto row) {
    using enum Row::Look;
    row(member("events").note(
            "nf_conntrack_events is 0: of flows that begin now nothing is logged but what dumps show", kBad),
        sysctls.events);
    row(member("acct").note("nf_conntrack_acct is 0: bytes and packets of flows that begin now are unknown"),
        sysctls.acct);
    row(member("timestamp")
            .note("nf_conntrack_timestamp is 0: flows that begin now begin when their event is received",
                  kPlain),
        sysctls.timestamp);
  }
};

// tell(row) for each that is off.
void for_each_off(const ConntrackSysctls& sysctls, auto tell) {
  Rows<ConntrackSysctls>::visit(sysctls, [&](const Row& row, const std::optional<bool>& is_on) {
    if (is_on && !*is_on) tell(row);
  });
}

template <>
struct Rows<CollectorReport> {
  static void visit(auto& c, auto row) {
    using enum Row::Look;
    row(member("netns").column("NETNS"), c.netns);
    row(gauge("ready", "natsession_collector_ready",
              "1 once every session that was there at the start is known.")
            .column("STATE"),
        c.ready);
    row(gauge("live_sessions", "natsession_live_sessions",
              "Sessions that are open now; absent while that is not known.")
            .column("SESSIONS"),
        c.open);
    row(counter("events", "natsession_events_total", "Conntrack events received, by type.")
            .labelled("type")
            .column("EVENTS"),
        c.events);
    row(counter("records", "natsession_records_total", "Session records made, by event.")
            .labelled("event")
            .column("RECORDS"),
        c.records);
    row(member("events_per_second").column("EVENTS/S"), c.events_per_second);
    row(member("records_per_second").column("RECORDS/S"), c.records_per_second);
    row(counter(
            "events_delayed", "natsession_events_delayed_total",
            "Conntrack events that did not fit in reliable mode; the kernel sends those that matter again.")
            .column("DELAYED"),
        c.events_delayed);
    row(counter("events_lost", "natsession_events_lost_total",
                "Conntrack events that are gone; the log has gap records for them.")
            .column("LOST", kBad),
        c.events_lost);
    row(counter("gaps", "natsession_gaps_total", "Gap records: times in which the log is not complete.")
            .column("GAPS", kWarning),
        c.records.gaps);
    row(gauge("reliable", "natsession_reliable_mode", "1 while the kernel keeps events that do not fit.")
            .column("RELIABLE"),
        c.reliable);
    row(gauge("guard_tripped", "natsession_guard_tripped",
              "1 while reliable mode is off because the conntrack table is filling."),
        c.guard_tripped);
    row(gauge("gone", "natsession_namespace_gone",
              "1 while the network namespace's name means no namespace that could be entered."),
        c.gone);
    row(gauge("flows", "natsession_flows", "Flows that are followed for flow logs."), c.flows);
    row(counter("interfaces_unknown", "natsession_interfaces_unknown_total",
                "How often it was not known which interface an address is at, for a flow log.")
            .note("times it was not known which interface an address is at: the option interface tells"),
        c.interfaces_unknown);
    row(counter("refused_packets", "natsession_refused_packets_total",
                "Copies of refused packets that were received, for flow logs."),
        c.refused_packets);
    row(counter("refused_lost", "natsession_refused_packets_lost_total",
                "Copies of refused packets that were lost; flow logs say SKIPDATA.")
            .note("copies of refused packets were lost: flow logs say SKIPDATA"),
        c.refused_lost);
    row(counter("refused_left_out", "natsession_refused_packets_left_out_total",
                "Refused packets of flows beyond reject_flows; flow logs say SKIPDATA.")
            .note("refused packets are of flows beyond reject_flows: flow logs say SKIPDATA"),
        c.refused_left_out);
    row(gauge("away_seconds", "natsession_away_seconds",
              "How long no process read events before this one took over from the run before; 0: it did not.")
            .note("s without a process before this one took over: nothing is missing"),
        c.away_seconds);
    row(counter("guard_trips", "natsession_guard_trips_total",
                "How often the guard turned reliable mode off."),
        c.guard_trips);
    row(counter("vanished", "natsession_sessions_vanished_total",
                "Sessions that left the table with no event."),
        c.vanished);
    row(counter("not_followed", "natsession_sessions_not_followed_total",
                "Sessions beyond the limit of the session table.")
            .note("sessions were beyond the limit of the session table"),
        c.not_followed);
    row(counter("counters_reset", "natsession_counters_reset_total",
                "Flows whose counters went back: somebody zeroed them, as conntrack -L -z does.")
            .note("times a flow's counters went back: another program zeroes them"),
        c.counters_reset);
    row(counter("malformed", "natsession_malformed_messages_total",
                "Messages from the kernel that could not be decoded.")
            .note("messages from the kernel could not be decoded"),
        c.malformed);
    row(counter("truncated", "natsession_truncated_messages_total",
                "Messages from the kernel that were longer than a slot of the receive buffer.")
            .note("messages from the kernel were too long"),
        c.truncated);
    row(counter("foreign", "natsession_foreign_messages_total",
                "Messages on the netlink sockets that were not the kernel's, and were ignored.")
            .note("messages on the netlink sockets were not the kernel's"),
        c.foreign);
    row(counter("unknown_attributes", "natsession_unknown_attributes_total",
                "Attributes of a newer kernel, which were passed over."),
        c.unknown_attributes);
    row(counter("dumps_failed", "natsession_dumps_failed_total",
                "Dumps of the conntrack table that failed or were interrupted.")
            .note("dumps of the conntrack table failed or were interrupted"),
        c.passes_failed);
    row(gauge("groups", "natsession_event_groups",
              "1 for each group of conntrack events that is subscribed to, by group.")
            .labelled("group")
            .column("GROUPS"),
        c.groups);
    row(member("groups_why"), c.groups_why);
    row(gauge(
            "sysctls", "natsession_sysctl",
            "0 for each sysctl net.netfilter.nf_conntrack_NAME that is 0 and should not be, by name; absent "
            "where it cannot be read.")
            .labelled("name"),
        c.sysctls);
    row(member("covered_from"), c.covered_from);
    row(gauge("covered_until", "natsession_covered_until_seconds",
              "Until when all sessions that ended are recorded; absent while that is not known."),
        c.covered_until);
    row(gauge("receive_buffer_bytes", "natsession_receive_buffer_bytes",
              "Receive buffer of the event socket, as granted.")
            .column("BUFFER"),
        c.receive_buffer_bytes);
    row(gauge("table_entries", "natsession_conntrack_entries",
              "Flows in the conntrack table; absent where it cannot be read."),
        c.table_entries);
    row(gauge("table_limit", "natsession_conntrack_entries_limit",
              "How many flows fit into the conntrack table; 0: any number."),
        c.table_limit);
  }
};

}  // namespace natsession
