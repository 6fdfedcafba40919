#include "control/metrics.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "control/metric_text.h"
#include "net/protocol.h"

namespace natsession {
namespace {

double seconds(std::chrono::milliseconds duration) {
  return static_cast<double>(duration.count()) / 1000;
}
double seconds(UnixMs time) {
  return seconds(time.time_since_epoch());
}
std::uint64_t flag(bool value) {
  return value ? 1 : 0;
}

void add_daemon(MetricText& text, const Status& status) {
  text.gauge("natsession_build_info", "What runs: always 1, the labels tell.");
  text.sample({{"version", status.version}, {"build", status.build}}, std::uint64_t{1});
  text.gauge("natsession_start_time_seconds", "When the daemon started, in Unix seconds.");
  text.sample({}, seconds(status.started));
  text.gauge("natsession_logging_enabled",
             "1 while sessions are logged, 0 while logging is disabled on request.");
  text.sample({}, flag(status.logging));
}

// A metric of each collector, from one member.
struct CollectorMetric {
  bool counts;  // a counter, else a gauge
  const char* name;
  const char* help;
  std::uint64_t (*value)(const CollectorReport& collector);
};

constexpr CollectorMetric kCollectorMetrics[] = {
    {false, "natsession_live_sessions", "Sessions that are open now.", [](const auto& c) { return c.live; }},
    {false, "natsession_collector_ready", "1 once every session that was there at the start is known.",
     [](const auto& c) { return flag(c.ready); }},
    {true, "natsession_events_lost_total",
     "Conntrack events that are gone; the log has gap records for them.",
     [](const auto& c) { return c.events_lost; }},
    {true, "natsession_events_delayed_total",
     "Conntrack events that did not fit in reliable mode; the kernel sends those that matter again.",
     [](const auto& c) { return c.events_delayed; }},
    {true, "natsession_gaps_total", "Gap records: times in which the log is not complete.",
     [](const auto& c) { return c.gaps; }},
    {false, "natsession_reliable_mode", "1 while the kernel keeps events that do not fit.",
     [](const auto& c) { return flag(c.reliable); }},
    {false, "natsession_guard_tripped",
     "1 while reliable mode is off because the conntrack table is filling.",
     [](const auto& c) { return flag(c.guard_tripped); }},
    {true, "natsession_guard_trips_total", "How often the guard turned reliable mode off.",
     [](const auto& c) { return c.guard_trips; }},
    {true, "natsession_sessions_vanished_total", "Sessions that left the table with no event.",
     [](const auto& c) { return c.vanished; }},
    {true, "natsession_sessions_not_followed_total", "Sessions beyond the limit of the session table.",
     [](const auto& c) { return c.not_followed; }},
    {true, "natsession_malformed_messages_total", "Messages from the kernel that could not be decoded.",
     [](const auto& c) { return c.malformed; }},
    {true, "natsession_dumps_failed_total", "Dumps of the conntrack table that failed or were interrupted.",
     [](const auto& c) { return c.dumps_failed; }},
    {false, "natsession_receive_buffer_bytes", "Receive buffer of the event socket, as granted.",
     [](const auto& c) { return c.receive_buffer_bytes; }},
};

void add_collectors(MetricText& text, const std::vector<CollectorReport>& collectors) {
  text.counter("natsession_events_total", "Conntrack events received, by type.");
  for (const CollectorReport& collector : collectors) {
    text.sample({{"type", "new"}, {"netns", collector.netns}}, collector.events.added);
    text.sample({{"type", "update"}, {"netns", collector.netns}}, collector.events.updated);
    text.sample({{"type", "destroy"}, {"netns", collector.netns}}, collector.events.destroyed);
  }
  text.counter("natsession_records_total", "Session records made, by event.");
  for (const CollectorReport& collector : collectors) {
    text.sample({{"event", "start"}, {"netns", collector.netns}}, collector.records.starts);
    text.sample({{"event", "interim"}, {"netns", collector.netns}}, collector.records.interims);
    text.sample({{"event", "end"}, {"netns", collector.netns}}, collector.records.ends);
    text.sample({{"event", "gap"}, {"netns", collector.netns}}, collector.records.gaps);
  }
  for (const CollectorMetric& metric : kCollectorMetrics) {
    metric.counts ? text.counter(metric.name, metric.help) : text.gauge(metric.name, metric.help);
    for (const CollectorReport& collector : collectors) {
      text.sample({{"netns", collector.netns}}, metric.value(collector));
    }
  }
}

struct SinkMetric {
  bool counts;
  const char* name;
  const char* help;
  std::uint64_t (*value)(const SinkReport& sink);
};

constexpr SinkMetric kSinkMetrics[] = {
    {false, "natsession_sink_enabled", "1 if the sink is enabled.",
     [](const auto& s) { return flag(s.enabled); }},
    {false, "natsession_sink_up", "1 if the sink takes records, 0 if its last try failed.",
     [](const auto& s) { return flag(s.state != SinkState::kFailed); }},
    {false, "natsession_sink_suspended", "1 while delivery is suspended after a failure of the target.",
     [](const auto& s) { return flag(s.suspended_until.has_value()); }},
    {true, "natsession_sink_delivered_records_total", "Records that the sink took.",
     [](const auto& s) { return s.delivered; }},
    {true, "natsession_sink_retries_total", "Tries beyond the first.",
     [](const auto& s) { return s.retried; }},
    {true, "natsession_sink_dropped_records_total",
     "Records that the sink missed; a gap record in it says so.", [](const auto& s) { return s.dropped; }},
    {true, "natsession_sink_rejected_records_total", "Records that the sink refused for good.",
     [](const auto& s) { return s.rejected; }},
    {false, "natsession_sink_waiting_records", "Records that the sink has yet to take.",
     [](const auto& s) { return s.waiting; }},
};

void add_sinks(MetricText& text, const std::vector<SinkReport>& sinks) {
  for (const SinkMetric& metric : kSinkMetrics) {
    metric.counts ? text.counter(metric.name, metric.help) : text.gauge(metric.name, metric.help);
    for (const SinkReport& sink : sinks) text.sample({{"sink", sink.name}}, metric.value(sink));
  }
  text.gauge("natsession_sink_oldest_waiting_seconds",
             "Age of the oldest record that waits; 0 when none does.");
  for (const SinkReport& sink : sinks) {
    text.sample({{"sink", sink.name}}, seconds(sink.oldest_waiting.value_or(std::chrono::milliseconds(0))));
  }
  text.gauge("natsession_sink_last_failure_timestamp_seconds",
             "When the sink last failed; absent if it never did.");
  for (const SinkReport& sink : sinks) {
    if (sink.last_failure_at) text.sample({{"sink", sink.name}}, seconds(*sink.last_failure_at));
  }
}

void add_ledger(MetricText& text, const LedgerReport& ledger, UnixMs now) {
  const auto gauge = [&](const char* name, const char* help, auto value) {
    text.gauge(name, help);
    text.sample({}, value);
  };
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) {
    text.counter(name, help);
    text.sample({}, value);
  };
  const auto age = ledger.oldest ? std::max(now - *ledger.oldest, std::chrono::milliseconds(0))
                                 : std::chrono::milliseconds(0);
  gauge("natsession_ledger_bytes", "Size of all segments on disk.", ledger.bytes);
  gauge("natsession_ledger_limit_bytes", "Size beyond which the oldest segment is deleted.",
        ledger.limit_bytes);
  gauge("natsession_ledger_segments", "Segments on disk.", ledger.segments);
  gauge("natsession_ledger_sealed_segments", "Segments that are sealed.", ledger.sealed_segments);
  gauge("natsession_ledger_records", "Records in the ledger.", ledger.records);
  gauge("natsession_ledger_oldest_record_age_seconds", "Age of the oldest record; 0 when there is none.",
        seconds(age));
  gauge("natsession_ledger_retention_seconds", "Age at which a segment is deleted.",
        seconds(ledger.retention));
  gauge("natsession_ledger_writable",
        "1 if the ledger can be written, 0 if the last try failed, as on a full disk.",
        flag(ledger.failure.empty()));
  gauge("natsession_ledger_upkeep_ok", "1 if segments are sealed and deleted as they should be.",
        flag(ledger.upkeep_failure.empty()));
  gauge("natsession_ledger_pending_records", "Records in memory that are not on disk yet.", ledger.pending);
  counter("natsession_ledger_appended_records_total", "Records that the ledger took.", ledger.appended);
  counter("natsession_ledger_append_failures_total", "Failed tries to write to the ledger.",
          ledger.append_failures);
  counter("natsession_ledger_dropped_records_total",
          "Records that found no room, neither on disk nor in memory.", ledger.dropped);
  counter("natsession_ledger_deleted_segments_total", "Segments that retention deleted.",
          ledger.deleted_segments);
  counter("natsession_ledger_deleted_unread_records_total",
          "Records that the byte limit deleted before a sink had read them.", ledger.deleted_unread_records);
  counter("natsession_ledger_damaged_frames_total", "Damaged frames that were met.", ledger.damaged_frames);
}

constexpr std::string_view kOther = "other";

// Adds up what stands under the same labels, and what is beyond the limit. In the order of netns, address and
// protocol, with "other" behind the addresses.
class PortTable {
 public:
  explicit PortTable(const std::vector<PortUse>& ports) {
    std::map<std::pair<std::string, IpAddress>, std::uint64_t> most;  // ports in the protocol that has most
    for (const PortUse& use : ports) {
      std::uint64_t& known = most[{use.netns, use.nat_ip}];
      known = std::max(known, use.ports);
    }
    std::map<std::string, std::vector<std::pair<std::uint64_t, IpAddress>>> by_netns;
    for (const auto& [key, count] : most) by_netns[key.first].emplace_back(count, key.second);
    for (auto& [netns, addresses] : by_netns) {
      if (addresses.size() <= kMaxNatIpsInMetrics) continue;
      std::sort(addresses.begin(), addresses.end(), std::greater<>());
      addresses.resize(kMaxNatIpsInMetrics);
    }
    std::map<std::string, std::map<IpAddress, bool>> chosen;
    for (const auto& [netns, addresses] : by_netns) {
      for (const auto& [count, address] : addresses) chosen[netns][address] = true;
    }
    for (const PortUse& use : ports) {
      const std::string_view name = protocol_name(use.protocol);
      const bool shown = chosen[use.netns].contains(use.nat_ip);
      Sums& sums = rows_[{use.netns, !shown, shown ? use.nat_ip : IpAddress(),
                          std::string(name.empty() ? kOther : name)}];
      sums.ports += use.ports;
      sums.sessions += use.sessions;
    }
  }

  void add(MetricText& text) const {
    text.gauge("natsession_snat_ports_in_use",
               "Ports of a public address that are in use, by protocol. Of each namespace the 4096 addresses "
               "with most ports in "
               "use stand apart, the others are summed up as nat_ip \"other\", and so are protocols without "
               "a name.");
    for (const auto& [row, sums] : rows_) sample(text, row, sums.ports);
    text.gauge("natsession_snat_sessions",
               "Sessions of a public address, by protocol: more than ports where several share a port. "
               "\"other\" as above.");
    for (const auto& [row, sums] : rows_) sample(text, row, sums.sessions);
  }

 private:
  struct Sums {
    std::uint64_t ports = 0;
    std::uint64_t sessions = 0;
  };
  using Row =
      std::tuple<std::string, bool, IpAddress, std::string>;  // netns, beyond the limit, address, protocol

  static void sample(MetricText& text, const Row& row, std::uint64_t value) {
    const auto& [netns, other, address, protocol] = row;
    const std::string ip = other ? std::string(kOther) : address.to_string();
    text.sample({{"nat_ip", ip}, {"protocol", protocol}, {"netns", netns}}, value);
  }

  std::map<Row, Sums> rows_;
};

}  // namespace

std::string metrics_text(const Status& status, const std::vector<PortUse>& ports) {
  MetricText text;
  add_daemon(text, status);
  add_collectors(text, status.collectors);
  PortTable(ports).add(text);
  add_sinks(text, status.sinks);
  if (status.ledger) add_ledger(text, *status.ledger, status.now);
  return text.take();
}

}  // namespace natsession
