#include "query/port_usage.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "query/proof.h"

namespace natsession {
namespace {

constexpr double kHourMs = 3'600'000;
constexpr double kYearMs = 365 * 24 * kHourMs;

struct PortPeer {
  IpAddress nat_ip;
  IpAddress pub_ip;
  std::uint16_t pub_port = 0;
  std::uint8_t protocol = 0;
  friend auto operator<=>(const PortPeer&, const PortPeer&) = default;
};

struct PortPeerHash {
  [[nodiscard]] std::size_t operator()(const PortPeer& peer) const;
};

// Which (nat_ip, protocol, pub_ip, pub_port) have the most records, in bounded memory: the algorithm of Misra
// and Gries, in its batch form. Whatever has more than one record in half its room is found.
class PortPeers {
 public:
  static constexpr std::size_t kRoom = 100'000;

  void add(const PortPeer& peer, std::uint64_t records = 1);
  void add(const PortPeers& other);
  // The largest first; ties by the peer.
  [[nodiscard]] std::vector<PortPeer> largest(std::size_t count) const;

 private:
  void make_room();
  std::unordered_map<PortPeer, std::uint64_t, PortPeerHash> records_;
};

std::size_t PortPeerHash::operator()(const PortPeer& peer) const {
  std::uint64_t words[4];
  std::memcpy(words, peer.nat_ip.bytes().data(), 16);
  std::memcpy(words + 2, peer.pub_ip.bytes().data(), 16);
  std::uint64_t hash = (std::uint64_t{peer.pub_port} << 8 | peer.protocol) * 0x9e3779b97f4a7c15;
  for (const std::uint64_t word : words) {
    hash = (hash ^ word) * 0xbf58476d1ce4e5b9;
    hash ^= hash >> 29;
  }
  return hash;
}

void PortPeers::add(const PortPeer& peer, std::uint64_t records) {
  records_[peer] += records;
  if (records_.size() > kRoom) make_room();
}

void PortPeers::add(const PortPeers& other) {
  for (const auto& [peer, records] : other.records_) add(peer, records);
}

// Takes the median from all: half of them are gone then.
void PortPeers::make_room() {
  std::vector<std::uint64_t> counts;
  counts.reserve(records_.size());
  for (const auto& [peer, records] : records_) counts.push_back(records);
  const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
  std::nth_element(counts.begin(), middle, counts.end());
  const std::uint64_t median = *middle;
  for (auto place = records_.begin(); place != records_.end();) {
    if (place->second <= median) {
      place = records_.erase(place);
    } else {
      place->second -= median;
      ++place;
    }
  }
}

std::vector<PortPeer> PortPeers::largest(std::size_t count) const {
  std::vector<std::pair<std::uint64_t, PortPeer>> all;
  for (const auto& [peer, records] : records_) all.emplace_back(records, peer);
  const auto order = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  const std::size_t kept = std::min(count, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(), order);
  std::vector<PortPeer> peers;
  for (std::size_t i = 0; i < kept; ++i) peers.push_back(all[i].second);
  return peers;
}

// Some more than are shown are looked at: who has the most records need not have the highest peak.
constexpr std::size_t kPeersPerShown = 3;

struct Key {
  IpAddress nat_ip;
  std::uint8_t protocol = 0;
  friend auto operator<=>(const Key&, const Key&) = default;
};

struct Tracked {
  explicit Tracked(std::size_t points) : sweep(points) {}
  PortSweep sweep;
  PortPeak peak;
  std::uint64_t records = 0;
};

// A use of a port, waiting until no later one can come.
struct Use {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  Tracked* key = nullptr;  // null: not tracked
  Tracked* peer = nullptr;
  std::uint16_t port = 0;
  std::uint16_t begin_point = 0;
  std::uint16_t end_point = 0;
};

class Sweeper {
 public:
  Sweeper(const PointGrid& grid, UnixMs until, const std::vector<PortPeer>& peers)
      : grid_(grid),
        from_(grid.time_of(0).time_since_epoch().count()),
        behind_(until.time_since_epoch().count() + 1) {
    for (const PortPeer& peer : peers) peers_.try_emplace(peer, std::make_unique<Tracked>(grid.points()));
  }

  // Batches from the newest to the oldest.
  void add(const ScanBatch& batch);
  void add(const SessionRecord& live);
  void finish() { release(std::nullopt); }
  // Whether or not there is a record of it.
  void want(const PortQuestion::Counted& counted) {
    static_cast<void>(key_of(counted.nat_ip, counted.protocol));
  }
  [[nodiscard]] PortSeries series(Tracked& tracked, std::uint32_t range) const;

  std::map<Key, std::unique_ptr<Tracked>> keys_;
  std::unordered_map<PortPeer, std::unique_ptr<Tracked>, PortPeerHash> peers_;
  std::uint64_t left_out_ = 0;
  // Records of sessions that began nobody knows when, which were not their first: before them such a session
  // was silent.
  std::uint64_t silent_before_ = 0;

 private:
  Tracked* key_of(const IpAddress& nat_ip, std::uint8_t protocol);
  Tracked* peer_of(const PortPeer& peer) {
    if (peers_.empty()) return nullptr;
    const auto found = peers_.find(peer);
    return found != peers_.end() ? found->second.get() : nullptr;
  }
  void release(std::optional<std::int64_t> until);
  void add(const Use& use) const;

  const PointGrid& grid_;
  std::int64_t from_;    // the question's time, in ms
  std::int64_t behind_;  // the first behind it
  std::vector<Use> uses_;
  Key last_;
  Tracked* last_tracked_ = nullptr;
};

Tracked* Sweeper::key_of(const IpAddress& nat_ip, std::uint8_t protocol) {
  const Key key{nat_ip, protocol};
  if (last_tracked_ != nullptr && key == last_) return last_tracked_;
  auto found = keys_.find(key);
  if (found == keys_.end()) {
    if (keys_.size() == PortQuestion::kMaxKeys) {
      ++left_out_;
      return nullptr;
    }
    found = keys_.emplace(key, std::make_unique<Tracked>(grid_.points())).first;
  }
  last_ = key;
  last_tracked_ = found->second.get();
  return last_tracked_;
}

void Sweeper::add(const ScanBatch& batch) {
  // Nothing that is still to come ends behind this frame.
  release(batch.frame().max_end.time_since_epoch().count());
  const AddressColumn nat = batch.addresses(Field::kNatIp);
  const AddressColumn pub = batch.addresses(Field::kPubIp);
  const auto protocols = batch.small(Field::kProtocol);
  const auto ports = batch.ports(Field::kNatPort);
  const auto pub_ports = batch.ports(Field::kPubPort);
  const auto starts = batch.times(Field::kStartTime);
  const auto session_starts = batch.times(Field::kSessionStart);
  const auto ends = batch.times(Field::kEndTime);
  for (const std::uint32_t row : batch.rows()) {
    Use use;
    if (session_starts[row] == kUnknownTime && starts[row] > from_) ++silent_before_;
    use.begin = session_starts[row] != kUnknownTime ? session_starts[row] : starts[row];
    if (use.begin >= behind_) continue;
    const IpAddress& nat_ip = nat.distinct[nat.index[row]];
    use.key = key_of(nat_ip, protocols[row]);
    if (!peers_.empty()) {
      use.peer = peer_of({nat_ip, pub.distinct[pub.index[row]], pub_ports[row], protocols[row]});
    }
    if (use.key != nullptr) ++use.key->records;
    if (use.peer != nullptr) ++use.peer->records;
    use.end = ends[row];
    use.port = ports[row];
    use.begin_point = grid_.first_at(use.begin);
    use.end_point = grid_.first_at(use.end);
    if (use.begin < use.end) uses_.push_back(use);
  }
}

void Sweeper::add(const Use& use) const {
  for (Tracked* const tracked : {use.key, use.peer}) {
    if (tracked == nullptr) continue;
    if (use.begin_point < use.end_point) tracked->sweep.add(use.port, use.begin_point, use.end_point);
    tracked->peak.add(use.port, std::max(use.begin, from_), std::min(use.end, behind_));
  }
}

void Sweeper::add(const SessionRecord& live) {
  Use use;
  use.begin = live.start_time.time_since_epoch().count();
  use.end = behind_;
  use.port = live.nat_port;
  use.begin_point = grid_.first_at(use.begin);
  use.end_point = static_cast<std::uint16_t>(grid_.points());
  if (use.begin >= use.end) return;
  use.key = key_of(live.nat_ip, live.protocol);
  use.peer = peer_of({live.nat_ip, live.pub_ip, live.pub_port, live.protocol});
  add(use);
}

// Counts the uses that end behind `until`; all, if there is none.
void Sweeper::release(std::optional<std::int64_t> until) {
  const auto first =
      std::partition(uses_.begin(), uses_.end(), [&](const Use& use) { return until && use.end <= *until; });
  std::sort(first, uses_.end(), [](const Use& a, const Use& b) { return a.end > b.end; });
  for (auto use = first; use != uses_.end(); ++use) add(*use);
  uses_.erase(first, uses_.end());
}

PortSeries Sweeper::series(Tracked& tracked, std::uint32_t range) const {
  PortSeries series = tracked.sweep.series(grid_, range);
  tracked.peak.finish();
  // Less than at a point only where records came out of order.
  if (tracked.peak.count() >= series.peak && tracked.peak.count() > 0) {
    series.peak = tracked.peak.count();
    series.peak_at = tracked.peak.at();
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

Result<std::vector<PortPeer>> find_peers(const SegmentList& ledger, const PortQuestion& question, Query query,
                                         const ScanControl& control) {
  query.columns = {Field::kNatIp, Field::kPubIp, Field::kProtocol, Field::kPubPort};
  Scan scan(ledger, query, control);
  std::vector<PortPeers> counts(scan.threads());
  scan.run([&](unsigned worker, const ScanBatch& batch) {
    const AddressColumn nat = batch.addresses(Field::kNatIp);
    const AddressColumn pub = batch.addresses(Field::kPubIp);
    const auto protocols = batch.small(Field::kProtocol);
    const auto pub_ports = batch.ports(Field::kPubPort);
    for (const std::uint32_t row : batch.rows()) {
      counts[worker].add(
          {nat.distinct[nat.index[row]], pub.distinct[pub.index[row]], pub_ports[row], protocols[row]});
    }
  });
  if (auto good = scan.error(); !good) return good.error();
  for (std::size_t i = 1; i < counts.size(); ++i) counts[0].add(counts[i]);
  for (const SessionRecord& live : question.live) {
    counts[0].add({live.nat_ip, live.pub_ip, live.pub_port, live.protocol});
  }
  return counts[0].largest(question.destinations * kPeersPerShown);
}

}  // namespace

void PortPeak::add(std::uint16_t port, std::int64_t begin, std::int64_t end) {
  now_ = std::min(now_, end);
  leave(now_);
  if (begin >= now_) return;
  const auto [known, is_new] = in_use_.try_emplace(port, begin);
  if (!is_new && begin >= known->second) return;
  known->second = begin;
  begins_.emplace(begin, port);
  if (is_new && in_use_.size() >= count_) {
    count_ = static_cast<std::uint32_t>(in_use_.size());
    at_peak_ = true;
  }
}

// Forgets the ports that came into use at `time` or behind it.
void PortPeak::leave(std::int64_t time) {
  while (!begins_.empty() && begins_.top().first >= time) {
    const auto [begin, port] = begins_.top();
    begins_.pop();
    const auto known = in_use_.find(port);
    if (known == in_use_.end() || known->second != begin) continue;
    if (at_peak_) at_ = begin;
    at_peak_ = false;
    in_use_.erase(known);
  }
}

PortSeries PortSweep::series(const PointGrid& grid, std::uint32_t range) const {
  PortSeries series;
  std::int64_t in_use = 0;
  for (std::size_t point = 0; point < grid.points(); ++point) {
    in_use += changes_[point];
    const auto value = static_cast<std::uint32_t>(std::max<std::int64_t>(in_use, 0));
    series.in_use.push_back(value);
    if (value > series.peak || point == 0) {
      series.peak = value;
      series.peak_at = grid.time_of(point);
    }
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

Result<PortResult> find_ports(const SegmentList& ledger, const PortQuestion& question,
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
  Sweeper sweeper(grid, question.until, peers);
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
  sweeper.finish();
  if (auto good = scan.error(); !good) return good.error();

  PortResult result;
  result.from = question.from;
  result.step = question.step;
  result.points = *points;
  result.range = std::uint32_t{question.highest_port} - question.lowest_port + 1;
  result.records_left_out = sweeper.left_out_;
  result.report = scan.report();
  if (!control.until_now || question.live_at)
    result.report.missing = Proof(ledger, question.live_at).missing_open(question.from, question.until);
  if (result.report.missing.empty() && sweeper.silent_before_ > 0) {
    result.report.missing = fmt::format(
        "when they began is not known of sessions with {} records: in windows in which these were silent "
        "their "
        "ports are not counted",
        sweeper.silent_before_);
  }
  result.report.cancelled = result.report.cancelled || behind.report().cancelled;
  for (const PortQuestion::Counted& counted : question.counted) sweeper.want(counted);
  for (const auto& [key, tracked] : sweeper.keys_) {
    result.addresses.push_back(
        {key.nat_ip, key.protocol, tracked->records, sweeper.series(*tracked, result.range)});
    for (const PortQuestion::Counted& counted : question.counted) {
      if (counted.nat_ip == key.nat_ip && counted.protocol == key.protocol)
        stand_at_end(counted.ports, question.until, result.range, result.addresses.back().ports);
    }
  }
  for (const auto& [peer, tracked] : sweeper.peers_) {
    result.destinations.push_back({peer.nat_ip, peer.protocol, peer.pub_ip, peer.pub_port, tracked->records,
                                   sweeper.series(*tracked, result.range)});
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

}  // namespace natsession
