#include "query/port_report.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "query/port_peers.h"
#include "query/port_sweep.h"

namespace natsession {
namespace {

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
  std::uint64_t records = 0;
};

// A use of a port, waiting until no later one can come.
struct Use {
  std::int64_t end = 0;
  Tracked* key = nullptr;  // null: not tracked
  Tracked* peer = nullptr;
  std::uint16_t port = 0;
  std::uint16_t begin_point = 0;
  std::uint16_t end_point = 0;
};

class Sweeper {
 public:
  Sweeper(const PointGrid& grid, const std::vector<PortPeer>& peers) : grid_(grid) {
    for (const PortPeer& peer : peers) peers_.try_emplace(peer, std::make_unique<Tracked>(grid.points()));
  }

  // Batches from the newest to the oldest.
  void add(const ScanBatch& batch);
  void add(const LivePort& live);
  void finish() { release(std::nullopt); }

  std::map<Key, std::unique_ptr<Tracked>> keys_;
  std::unordered_map<PortPeer, std::unique_ptr<Tracked>, PortPeerHash> peers_;
  std::uint64_t left_out_ = 0;

 private:
  Tracked* key_of(const IpAddress& nat_ip, std::uint8_t protocol);
  Tracked* peer_of(const PortPeer& peer) {
    if (peers_.empty()) return nullptr;
    const auto found = peers_.find(peer);
    return found != peers_.end() ? found->second.get() : nullptr;
  }
  void release(std::optional<std::int64_t> until);

  const PointGrid& grid_;
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
    const IpAddress& nat_ip = nat.distinct[nat.index[row]];
    use.key = key_of(nat_ip, protocols[row]);
    if (!peers_.empty()) {
      use.peer = peer_of({nat_ip, pub.distinct[pub.index[row]], pub_ports[row], protocols[row]});
    }
    if (use.key != nullptr) ++use.key->records;
    if (use.peer != nullptr) ++use.peer->records;
    const std::int64_t begin = session_starts[row] != kUnknownTime ? session_starts[row] : starts[row];
    use.end = ends[row];
    use.port = ports[row];
    use.begin_point = grid_.first_at(begin);
    use.end_point = grid_.first_at(ends[row]);
    if (use.begin_point < use.end_point) uses_.push_back(use);
  }
}

void Sweeper::add(const LivePort& live) {
  const auto end = static_cast<std::uint16_t>(grid_.points());
  const std::uint16_t begin = grid_.first_at(live.since.time_since_epoch().count());
  if (begin >= end) return;
  if (Tracked* const key = key_of(live.nat_ip, live.protocol)) key->sweep.add(live.nat_port, begin, end);
  if (Tracked* const peer = peer_of({live.nat_ip, live.pub_ip, live.pub_port, live.protocol})) {
    peer->sweep.add(live.nat_port, begin, end);
  }
}

// Counts the uses that end behind `until`; all, if there is none.
void Sweeper::release(std::optional<std::int64_t> until) {
  const auto first =
      std::partition(uses_.begin(), uses_.end(), [&](const Use& use) { return until && use.end <= *until; });
  std::sort(first, uses_.end(), [](const Use& a, const Use& b) { return a.end > b.end; });
  for (auto use = first; use != uses_.end(); ++use) {
    for (Tracked* const tracked : {use->key, use->peer}) {
      if (tracked != nullptr) tracked->sweep.add(use->port, use->begin_point, use->end_point);
    }
  }
  uses_.erase(first, uses_.end());
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

Result<std::vector<PortPeer>> find_peers(const LedgerView& ledger, const PortQuestion& question, Query query,
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
  for (const LivePort& live : question.live) {
    counts[0].add({live.nat_ip, live.pub_ip, live.pub_port, live.protocol});
  }
  return counts[0].largest(question.destinations * kPeersPerShown);
}

}  // namespace

Result<PortResult> find_ports(const LedgerView& ledger, const PortQuestion& question,
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
  Sweeper sweeper(grid, peers);
  for (const LivePort& live : question.live) sweeper.add(live);
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
  for (const auto& [key, tracked] : sweeper.keys_) {
    result.addresses.push_back(
        {key.nat_ip, key.protocol, tracked->records, tracked->sweep.series(grid, result.range)});
  }
  for (const auto& [peer, tracked] : sweeper.peers_) {
    result.destinations.push_back({peer.nat_ip, peer.protocol, peer.pub_ip, peer.pub_port, tracked->records,
                                   tracked->sweep.series(grid, result.range)});
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
