#include "query/port_usage.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "query/port_counter.h"
#include "query/port_peers.h"
#include "query/proof.h"

namespace natsession {
namespace {

constexpr double kHourMs = 3'600'000;
constexpr double kYearMs = 365 * 24 * kHourMs;

// Some more than are shown are looked at: who has the most records need not have the highest peak.
constexpr std::size_t kPeersPerShown = 3;

struct Key {
  IpAddress nat_ip;
  std::uint8_t protocol = 0;
  friend auto operator<=>(const Key&, const Key&) = default;
};

// Counts in one pass, from the newest batch to the oldest. An Offset has the times of the question.
template <typename Offset>
class Sweeper {
 public:
  Sweeper(const PointGrid& grid, UnixMs until, const std::vector<PortPeer>& peers, bool apart)
      : grid_(grid),
        from_(grid.time_of(0).time_since_epoch().count()),
        behind_(static_cast<Offset>(until.time_since_epoch().count() + 1 - from_)),
        counter_(grid, behind_, apart) {
    for (const PortPeer& peer : peers) {
      peers_.try_emplace(peer, add_user());
      pub_ips_.insert(peer.pub_ip);
    }
  }

  void add(const ScanBatch& batch);
  void add(const SessionRecord& live);
  // Whether or not there is a record of it.
  void want(const PortQuestion::Counted& counted) {
    static_cast<void>(key_of(counted.nat_ip, counted.protocol));
  }
  void finish();

  struct User {
    std::uint16_t number = 0;  // in the sweep
    std::uint64_t records = 0;
  };
  [[nodiscard]] PortSeries series(const User& user, std::uint32_t range) const;
  [[nodiscard]] const std::map<Key, User>& keys() const { return keys_; }
  [[nodiscard]] const std::unordered_map<PortPeer, User, PortPeerHash>& peers() const { return peers_; }
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }
  // Records of sessions that began nobody knows when, which were not their first: before them such a session
  // was silent.
  [[nodiscard]] std::uint64_t silent_before() const { return silent_before_; }

 private:
  using Use = typename PortCounter<Offset>::Use;
  struct AddressHash {
    [[nodiscard]] std::size_t operator()(const IpAddress& address) const {
      return std::hash<std::string_view>()(
          {reinterpret_cast<const char*>(address.bytes().data()), address.bytes().size()});
    }
  };

  User add_user() { return {users_++, 0}; }
  User* key_of(const IpAddress& nat_ip, std::uint8_t protocol);
  [[nodiscard]] Offset offset_of(std::int64_t time) const {
    if (time <= from_) return 0;
    const std::uint64_t behind = static_cast<std::uint64_t>(time) - static_cast<std::uint64_t>(from_);
    return static_cast<Offset>(std::min<std::uint64_t>(behind, behind_));
  }
  void mark_peers(const AddressColumn& pub);
  void release(Offset until);

  const PointGrid& grid_;
  const std::int64_t from_;  // the question's time, in ms
  const Offset behind_;      // the first behind it
  PortCounter<Offset> counter_;
  std::uint16_t users_ = 0;  // of the counter's sweep
  std::map<Key, User> keys_;
  std::unordered_map<PortPeer, User, PortPeerHash> peers_;
  std::unordered_set<IpAddress, AddressHash> pub_ips_;  // of peers
  std::uint64_t left_out_ = 0;
  std::uint64_t silent_before_ = 0;

  std::vector<Use> uses_;
  std::vector<Use> released_;
  // Of the batch: each protocol's and nat_ip's key, and whether a peer has the pub_ip.
  std::array<std::vector<User*>, 256> batch_keys_;
  std::vector<std::uint8_t> batch_peers_;
};

template <typename Offset>
typename Sweeper<Offset>::User* Sweeper<Offset>::key_of(const IpAddress& nat_ip, std::uint8_t protocol) {
  const Key key{nat_ip, protocol};
  const auto found = keys_.find(key);
  if (found != keys_.end()) return &found->second;
  if (keys_.size() == PortQuestion::kMaxKeys) return nullptr;
  return &keys_.emplace(key, add_user()).first->second;
}

template <typename Offset>
void Sweeper<Offset>::mark_peers(const AddressColumn& pub) {
  batch_peers_.clear();
  for (const IpAddress& address : pub.distinct) batch_peers_.push_back(pub_ips_.count(address) != 0 ? 1 : 0);
}

template <typename Offset>
void Sweeper<Offset>::add(const ScanBatch& batch) {
  // Nothing that is still to come ends behind this frame.
  release(offset_of(batch.frame().max_end.time_since_epoch().count()));
  const AddressColumn& nat = batch.addresses(Field::kNatIp);
  const AddressColumn& pub = batch.addresses(Field::kPubIp);
  const auto protocols = batch.small(Field::kProtocol);
  const auto ports = batch.ports(Field::kNatPort);
  const auto pub_ports = batch.ports(Field::kPubPort);
  const auto starts = batch.times(Field::kStartTime);
  const auto session_starts = batch.times(Field::kSessionStart);
  const auto ends = batch.times(Field::kEndTime);
  for (auto& keys : batch_keys_) keys.clear();
  if (!peers_.empty()) mark_peers(pub);
  for (const std::uint32_t row : batch.rows()) {
    const bool known = session_starts[row] != kUnknownTime;
    if (!known && starts[row] > from_) ++silent_before_;
    const std::int64_t begin = known ? session_starts[row] : starts[row];
    if (offset_of(begin) == behind_) continue;
    auto& keys = batch_keys_[protocols[row]];
    if (keys.empty()) keys.resize(nat.distinct.size());
    User*& key = keys[nat.index[row]];
    if (key == nullptr) key = key_of(nat.distinct[nat.index[row]], protocols[row]);
    Use use{offset_of(begin), offset_of(ends[row]), ports[row]};
    if (key != nullptr) {
      ++key->records;
      use.key = key->number;
    } else {
      ++left_out_;
    }
    if (!peers_.empty() && batch_peers_[pub.index[row]] != 0) {
      const auto peer = peers_.find(
          {nat.distinct[nat.index[row]], pub.distinct[pub.index[row]], pub_ports[row], protocols[row]});
      if (peer != peers_.end()) {
        ++peer->second.records;
        use.peer = peer->second.number;
      }
    }
    if (use.begin < use.end) uses_.push_back(use);
  }
}

template <typename Offset>
void Sweeper<Offset>::add(const SessionRecord& live) {
  Use use{offset_of(live.start_time.time_since_epoch().count()), behind_, live.nat_port};
  if (use.begin >= use.end) return;
  if (User* const key = key_of(live.nat_ip, live.protocol)) {
    use.key = key->number;
  } else {
    ++left_out_;
  }
  const auto peer = peers_.find({live.nat_ip, live.pub_ip, live.pub_port, live.protocol});
  if (peer != peers_.end()) use.peer = peer->second.number;
  uses_.push_back(use);
}

// Gives those that end behind `until` to be counted.
template <typename Offset>
void Sweeper<Offset>::release(Offset until) {
  const auto first = std::partition(uses_.begin(), uses_.end(),
                                    [&](const Use& use) { return use.end <= until && use.end != behind_; });
  released_.assign(first, uses_.end());
  uses_.erase(first, uses_.end());
  counter_.give(released_, users_);
}

template <typename Offset>
void Sweeper<Offset>::finish() {
  release(0);
  counter_.finish();
}

template <typename Offset>
PortSeries Sweeper<Offset>::series(const User& user, std::uint32_t range) const {
  PortSeries series = port_series(counter_.sweep().in_use(user.number), grid_, range);
  // Less than at a point only where records came out of order.
  const std::uint32_t peak = counter_.sweep().peak(user.number);
  if (peak >= series.peak && peak > 0) {
    series.peak = peak;
    series.peak_at = UnixMs(
        std::chrono::milliseconds(from_ + static_cast<std::int64_t>(counter_.sweep().peak_at(user.number))));
    series.peak_share = static_cast<double>(series.peak) / range;
  }
  return series;
}

// The daemon counts all sessions, of which those that it did not tell, and that were silent, are in no
// record.
void stand_at_end(std::uint32_t ports, UnixMs until, std::uint32_t range, PortSeries& series) {
  if (ports <= series.now) return;
  series.now = ports;
  series.now_share = static_cast<double>(ports) / range;
  if (!series.in_use.empty()) series.in_use.back() = ports;
  if (ports <= series.peak) return;
  series.peak = ports;
  series.peak_at = until;
  series.peak_share = series.now_share;
}

Result<std::size_t> count_points(const PortQuestion& question) {
  const auto usage = [](std::string what) { return Error{ErrorKind::kUsage, std::move(what)}; };
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 366 * 100);
  const auto since = question.from.time_since_epoch();
  const auto till = question.until.time_since_epoch();
  if (since > till) return usage("the time begins behind its end");
  if (since < -kLongest || till > kLongest * 10 || till - since > kLongest)
    return usage("the time is too long");
  if (question.step.count() <= 0) return usage("a step's length must be more than 0");
  if (question.lowest_port > question.highest_port) return usage("the range of ports has no port");
  const auto points = static_cast<std::size_t>((till - since) / question.step) + 1;
  if (points > PortQuestion::kMaxPoints) {
    return usage(std::to_string(points) +
                 " points of time are too many: choose a longer step or a shorter time");
  }
  if (question.destinations > PortQuestion::kMaxDestinations) {
    return usage("at most " + std::to_string(PortQuestion::kMaxDestinations) + " destinations");
  }
  return points;
}

Result<std::vector<PortPeer>> find_peers(const LogStore& ledger, const PortQuestion& question, Query query,
                                         const ScanControl& control) {
  query.columns = {Field::kNatIp, Field::kPubIp, Field::kProtocol, Field::kPubPort};
  Scan scan(ledger, query, control);
  std::vector<PortPeers> counts(scan.threads());
  scan.run([&](unsigned worker, const ScanBatch& batch) { counts[worker].add(batch); });
  if (auto good = scan.error(); !good) return good.error();
  for (std::size_t i = 1; i < counts.size(); ++i) counts[0].add(counts[i]);
  for (const SessionRecord& live : question.live) {
    counts[0].add({live.nat_ip, live.pub_ip, live.pub_port, live.protocol});
  }
  return counts[0].largest(question.destinations * kPeersPerShown);
}

// `query` has the columns.
template <typename Offset>
Result<PortResult> sweep(const LogStore& ledger, const PortQuestion& question, const Query& query,
                         const ScanControl& control, const PointGrid& grid,
                         const std::vector<PortPeer>& peers) {
  Sweeper<Offset> sweeper(grid, question.until, peers, Scan::threads_of(control) > 1);
  for (const SessionRecord& live : question.live) sweeper.add(live);
  // Who was silent is in the records of the day behind.
  Query silent = query;
  silent.start = {question.until + std::chrono::milliseconds(1),
                  question.until + ledger.window_since(question.from) + kLongestSilence};
  Scan behind(ledger, silent, control, Scan::Order::kNewestFirst);
  while (const ScanBatch* const batch = behind.next()) sweeper.add(*batch);
  if (auto good = behind.error(); !good) return good.error();
  Scan scan(ledger, query, control, Scan::Order::kNewestFirst);
  while (const ScanBatch* const batch = scan.next()) sweeper.add(*batch);
  for (const PortQuestion::Counted& counted : question.counted) sweeper.want(counted);
  sweeper.finish();
  if (auto good = scan.error(); !good) return good.error();

  PortResult result;
  result.from = question.from;
  result.step = question.step;
  result.points = grid.points();
  result.range = std::uint32_t{question.highest_port} - question.lowest_port + 1;
  result.records_left_out = sweeper.left_out();
  result.report = scan.report();
  if (!control.until_now || question.live_at)
    result.report.missing = Proof(ledger, question.live_at).missing_open(question.from, question.until);
  if (result.report.missing.empty() && sweeper.silent_before() > 0) {
    result.report.missing = fmt::format(
        "when they began is not known of sessions with {} records: in windows in which these were silent "
        "their "
        "ports are not counted",
        sweeper.silent_before());
  }
  result.report.cancelled = result.report.cancelled || behind.report().cancelled;
  for (const auto& [key, user] : sweeper.keys()) {
    result.addresses.push_back({key.nat_ip, key.protocol, user.records, sweeper.series(user, result.range)});
    for (const PortQuestion::Counted& counted : question.counted) {
      if (counted.nat_ip == key.nat_ip && counted.protocol == key.protocol)
        stand_at_end(counted.ports, question.until, result.range, result.addresses.back().ports);
    }
  }
  for (const auto& [peer, user] : sweeper.peers()) {
    result.destinations.push_back({peer.nat_ip, peer.protocol, peer.pub_ip, peer.pub_port, user.records,
                                   sweeper.series(user, result.range)});
  }
  std::sort(result.destinations.begin(), result.destinations.end(),
            [](const DestinationUse& a, const DestinationUse& b) {
              if (a.ports.peak != b.ports.peak) return a.ports.peak > b.ports.peak;
              return std::tie(a.nat_ip, a.protocol, a.pub_ip, a.pub_port) <
                     std::tie(b.nat_ip, b.protocol, b.pub_ip, b.pub_port);
            });
  if (result.destinations.size() > question.destinations) result.destinations.resize(question.destinations);
  return result;
}

}  // namespace

PortSeries port_series(std::vector<std::uint32_t> in_use, const PointGrid& grid, std::uint32_t range) {
  PortSeries series;
  series.in_use = std::move(in_use);
  for (std::size_t point = 0; point < series.in_use.size(); ++point) {
    if (series.in_use[point] <= series.peak && point != 0) continue;
    series.peak = series.in_use[point];
    series.peak_at = grid.time_of(point);
  }
  series.now = series.in_use.empty() ? 0 : series.in_use.back();
  series.peak_share = static_cast<double>(series.peak) / range;
  series.now_share = static_cast<double>(series.now) / range;

  const Line line = line_through(series.in_use);
  const auto step_ms = static_cast<double>((grid.time_of(1) - grid.time_of(0)).count());
  series.per_hour = line.slope * kHourMs / step_ms;
  if (line.slope > 0) {
    const double full = (range - line.at_zero) / line.slope;  // in steps
    const double ahead = std::max(0.0, full - static_cast<double>(grid.points() - 1)) * step_ms;
    if (ahead <= kYearMs) {
      series.full_at = grid.time_of(grid.points() - 1) + std::chrono::milliseconds(std::llround(ahead));
    }
  }
  return series;
}

Line line_through(std::span<const std::uint32_t> values) {
  if (values.empty()) return {};
  const auto count = static_cast<double>(values.size());
  const double middle = (count - 1) / 2;
  double mean = 0;
  for (const std::uint32_t value : values) mean += value / count;
  double up = 0;
  double across = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = static_cast<double>(i) - middle;
    up += x * (values[i] - mean);
    across += x * x;
  }
  Line line;
  line.slope = across > 0 ? up / across : 0;
  line.at_zero = mean - line.slope * middle;
  return line;
}

Result<PortResult> find_ports(const LogStore& ledger, const PortQuestion& question,
                              const ScanControl& control) {
  const auto points = count_points(question);
  if (!points) return points.error();
  const PointGrid grid(question.from, question.step, *points);
  Query query = Query::overlapping(question.from, question.until);
  query.where = question.where;
  std::vector<PortPeer> peers;
  if (question.destinations > 0) {
    auto found = find_peers(ledger, question, query, control);
    if (!found) return found.error();
    peers = std::move(*found);
  }

  query.columns = {Field::kNatIp,     Field::kProtocol, Field::kNatPort,
                   Field::kStartTime, Field::kEndTime,  Field::kSessionStart};
  if (!peers.empty()) query.columns.add({Field::kPubIp, Field::kPubPort});
  // Offsets of four bytes will do for seven weeks.
  const auto range = static_cast<std::uint64_t>((question.until - question.from).count()) + 1;
  return range < PortSweep<std::uint32_t>::kNever
             ? sweep<std::uint32_t>(ledger, question, query, control, grid, peers)
             : sweep<std::uint64_t>(ledger, question, query, control, grid, peers);
}

}  // namespace natsession
