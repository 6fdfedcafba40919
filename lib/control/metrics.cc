#include "control/metrics.h"

#include <algorithm>
#include <map>
#include <optional>
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

// The metrics of reports of one kind, by their rows. Samples of one metric stand together, whichever report
// they are of.
class MetricTable {
 public:
  explicit MetricTable(UnixMs now) : now_(now) {}

  template <HasRows Report>
  void add(const Report& report, std::string_view label, std::string_view label_value) {
    std::size_t metric = 0;
    Rows<Report>::visit(report, [&](const Row& row, const auto& value) {
      if (row.metric == Row::Metric::kNone) return;
      if (metric == metrics_.size()) {
        MetricText& text = metrics_.emplace_back();
        row.metric == Row::Metric::kCounter ? text.counter(row.metric_name, row.help)
                                            : text.gauge(row.metric_name, row.help);
      }
      add_samples(metrics_[metric++], row, value, {label, label_value});
    });
  }

  [[nodiscard]] std::string take() {
    std::string text;
    for (MetricText& metric : metrics_) text += metric.take();
    return text;
  }

 private:
  template <typename T>
  void add_samples(MetricText& text, const Row& row, const T& value, const MetricText::Label& of) const {
    if constexpr (HasRows<T>) {
      Rows<T>::visit(value, [&](const Row& part, const auto& inner) {
        if (const auto number = number_of(row.metric, inner))
          text.sample({{row.label, part.name}, of}, *number);
      });
    } else if (const auto number = number_of(row.metric, value)) {
      text.sample({of}, *number);
    }
  }

  static std::optional<std::uint64_t> number_of(Row::Metric, std::uint64_t value) { return value; }
  static std::optional<std::uint64_t> number_of(Row::Metric, const std::optional<std::uint64_t>& value) {
    return value;
  }
  static std::optional<std::uint64_t> number_of(Row::Metric, EventsWhy) { return std::nullopt; }
  template <typename T>
  static std::optional<std::uint64_t> number_of(Row::Metric, const std::vector<T>&) {
    return std::nullopt;
  }
  static std::optional<std::uint64_t> number_of(Row::Metric, bool value) { return value ? 1 : 0; }
  static std::optional<std::uint64_t> number_of(Row::Metric, const std::optional<bool>& value) {
    return value;
  }
  static std::optional<std::uint64_t> number_of(Row::Metric, DeliveryState value) {
    return value != DeliveryState::kFailed ? 1 : 0;
  }
  static std::optional<std::uint64_t> number_of(Row::Metric kind, const std::string& value) {
    return value.empty() == (kind == Row::Metric::kAbsent) ? 1 : 0;
  }
  static std::optional<double> number_of(Row::Metric, double value) { return value; }
  static std::optional<double> number_of(Row::Metric, std::chrono::milliseconds value) {
    return seconds(value);
  }
  static std::optional<double> number_of(Row::Metric, const std::optional<std::chrono::milliseconds>& value) {
    return seconds(value.value_or(std::chrono::milliseconds(0)));
  }
  std::optional<double> number_of(Row::Metric kind, const std::optional<UnixMs>& value) const {
    if (kind == Row::Metric::kPresent) return value ? 1 : 0;
    if (kind == Row::Metric::kAge) {
      return seconds(value ? std::max(now_ - *value, std::chrono::milliseconds(0))
                           : std::chrono::milliseconds(0));
    }
    return value ? std::optional(seconds(*value)) : std::nullopt;
  }

  const UnixMs now_;
  std::vector<MetricText> metrics_;
};

std::string daemon_metrics(const Status& status) {
  MetricText text;
  text.gauge("natsession_build_info", "What runs: always 1, the labels tell.");
  text.sample({{"version", status.version}, {"build", status.build}}, std::uint64_t{1});
  text.gauge("natsession_start_time_seconds", "When the daemon started, in Unix seconds.");
  text.sample({}, seconds(status.started));
  text.gauge("natsession_logging_enabled",
             "1 while sessions are logged, 0 while logging is disabled on request.");
  text.sample({}, std::uint64_t{status.logging});
  return text.take();
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
  MetricTable collectors(status.now), sinks(status.now), ledger(status.now), sources(status.now),
      identity(status.now);
  for (const CollectorReport& collector : status.collectors)
    collectors.add(collector, "netns", collector.netns);
  for (const SinkReport& sink : status.sinks) sinks.add(sink, "sink", sink.name);
  if (status.ledger) ledger.add(*status.ledger, "", "");
  if (status.identity) {
    for (const IdentitySourceReport& source : status.identity->sources)
      sources.add(source, "source", source.source);
    identity.add(*status.identity, "", "");
  }
  MetricText snat;
  PortTable(ports).add(snat);
  return daemon_metrics(status) + collectors.take() + snat.take() + sinks.take() + ledger.take() +
         sources.take() + identity.take();
}

}  // namespace natsession
