#include "ledger/record_columns.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "ledger/number_coding.h"

namespace natsession {
namespace {

std::uint64_t bits_of(UnixMs time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

unsigned reason_code(const SessionRecord& record) {
  const bool ended = record.event == RecordEvent::kEnd;
  return static_cast<unsigned>(record.reason) ^
         (ended ? static_cast<unsigned>(RecordReason::kDestroyed) : 0U);
}

// One knot for so many records.
constexpr std::uint64_t kRecordsOfKnot = 32;

}  // namespace

// Which of the distinct addresses each is.
std::uint32_t DistinctAddresses::place_of(const IpAddress& address) {
  const Halves wanted = halves_of(address);
  std::size_t slot = AddressHash()(address) & (slots_.size() - 1);
  while (slots_[slot] != 0 && halves_[slots_[slot] - 1] != wanted) slot = (slot + 1) & (slots_.size() - 1);
  if (slots_[slot] == 0) {
    halves_.push_back(wanted);
    slots_[slot] = static_cast<std::uint32_t>(halves_.size());
    if (2 * halves_.size() > slots_.size()) {
      slots_.assign(4 * slots_.size(), 0);
      for (std::uint32_t place = 1; place <= halves_.size(); ++place) {
        slot = AddressHash()(address_of(halves_[place - 1])) & (slots_.size() - 1);
        while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
        slots_[slot] = place;
      }
    }
    return static_cast<std::uint32_t>(halves_.size() - 1);
  }
  return slots_[slot] - 1;
}

void DistinctAddresses::clear() {
  halves_.clear();
  slots_.assign(256, 0);
}

void DistinctAddresses::rank(std::vector<std::uint32_t>& ranks) const {
  std::vector<std::uint32_t> order(halves_.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return halves_[a] < halves_[b]; });
  ranks.resize(order.size());
  for (std::uint32_t place = 0; place < order.size(); ++place) ranks[order[place]] = place;
}

// Digit by digit, from the lowest that differ; what is equal stays in its order.
void RecordColumns::sort_keys(std::uint64_t differing) {
  const unsigned digit_bits = keys_.size() < 4096 ? 8 : 11;
  sorted_.resize(keys_.size());
  while (differing != 0) {
    const auto shift = static_cast<unsigned>(std::countr_zero(differing));
    const std::uint64_t mask = low_bits(digit_bits);
    std::array<std::uint32_t, 2048> begins{};
    for (const std::uint64_t key : keys_) ++begins[(key >> shift) & mask];
    std::uint32_t begin = 0;
    for (std::uint32_t& each : begins) begin += std::exchange(each, begin);
    for (const std::uint64_t key : keys_) sorted_[begins[(key >> shift) & mask]++] = key;
    keys_.swap(sorted_);
    differing &= ~(mask << shift);
  }
}

// By nat_ip, by pri_ip, and by ordinal, which is how they came.
void RecordColumns::sort(std::span<const SessionRecord> records) {
  nat_places_.clear();
  keys_.resize(records.size());
  bool narrow = true;
  for (std::size_t i = 0; i < records.size(); ++i) {
    keys_[i] = std::uint64_t{nat_places_.place_of(records[i].nat_ip)} << 48 | i;
    narrow = narrow && records[i].pri_ip.is_v4();
  }
  std::vector<std::uint32_t> ranks;
  nat_places_.rank(ranks);
  nats.resize(ranks.size());
  for (std::size_t i = 0; i < ranks.size(); ++i) nats[ranks[i]] = address_of(nat_places_.at(i));
  for (std::uint64_t& key : keys_) key = (key & low_bits(48)) | std::uint64_t{ranks[key >> 48]} << 48;
  // Of hosts of more than 32 bits the place among them is as good.
  if (narrow) {
    for (std::size_t i = 0; i < keys_.size(); ++i)
      keys_[i] |= (halves_of(records[i].pri_ip).low & 0xffff'ffffU) << 16;
  } else {
    pri_places_.clear();
    for (std::size_t i = 0; i < keys_.size(); ++i)
      keys_[i] |= std::uint64_t{pri_places_.place_of(records[i].pri_ip)} << 16;
    pri_places_.rank(ranks);
    for (std::uint64_t& key : keys_) {
      key = (key & ~(low_bits(32) << 16)) | std::uint64_t{ranks[key >> 16 & 0xffff'ffffU]} << 16;
    }
  }
  std::uint64_t differing = 0;
  for (const std::uint64_t key : keys_) differing |= key ^ keys_[0];
  sort_keys(differing & ~low_bits(16));

  rows_.resize(records.size());
  first_of_run.resize(records.size());
  runs.clear();
  std::uint64_t before = 0;
  for (std::uint32_t row = 0; row < rows_.size(); ++row) {
    rows_[row] = static_cast<std::uint32_t>(keys_[row] & 0xffff);
    const std::uint64_t host = keys_[row] >> 16;
    const bool first = row == 0 || host != before;
    if (first)
      runs.push_back({records[rows_[row]].pri_ip, static_cast<std::uint16_t>(keys_[row] >> 48), row, 0});
    first_of_run[row] = first || row % kBlockRows == 0 ? 1 : 0;
    before = host;
    ++runs.back().rows;
  }
}

void RecordColumns::make_clock(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals) {
  const std::uint64_t span = info.last - info.first + 1;
  clock.step = static_cast<std::uint32_t>(std::max(kRecordsOfKnot, span * kRecordsOfKnot / records.size()));
  clock.knots.clear();
  std::size_t next = 0;
  for (std::uint64_t offset = 0;; offset += clock.step) {
    while (next + 1 < records.size() && ordinals[next + 1] - info.first <= offset) ++next;
    clock.knots.push_back(static_cast<std::int64_t>(bits_of(records[next].end_time)));
    if (offset >= span) break;
  }
}

void RecordColumns::load_texts(std::span<const SessionRecord> records) {
  origin_texts.clear();
  vpc_ids.clear();
  std::unordered_map<const Origin*, std::uint64_t> origins;
  std::unordered_map<std::string_view, std::uint64_t> vpcs;
  auto& origin = (*this)[ColumnId::kOrigin];
  auto& vpc = (*this)[ColumnId::kVpcId];
  auto& iif = (*this)[ColumnId::kIif];
  auto& oif = (*this)[ColumnId::kOif];
  origin.clear();
  vpc.clear();
  iif.clear();
  oif.clear();
  const auto same = [&](const SessionRecord& record) {
    return record.origin == records[0].origin && record.vpc_id.data() == records[0].vpc_id.data() &&
           record.vpc_id.size() == records[0].vpc_id.size() && record.iif.empty() && record.oif.empty();
  };
  if (std::all_of(records.begin(), records.end(), same)) {
    origin_texts = {records[0].origin->instance, records[0].origin->netns};
    vpc_ids = {records[0].vpc_id};
    return;
  }
  for (const std::uint32_t place : rows_) {
    const SessionRecord& record = records[place];
    const auto [known, fresh] = origins.try_emplace(record.origin, origins.size());
    if (fresh) {
      origin_texts.push_back(record.origin->instance);
      origin_texts.push_back(record.origin->netns);
    }
    origin.push_back(known->second);
    const auto place_of = [&](std::string_view text) {
      const auto [label, added] = vpcs.try_emplace(text, vpcs.size());
      if (added) vpc_ids.push_back(text);
      return label->second;
    };
    vpc.push_back(place_of(record.vpc_id));
    iif.push_back(record.iif.empty() ? 0 : place_of(record.iif) + 1);
    oif.push_back(record.oif.empty() ? 0 : place_of(record.oif) + 1);
  }
}

// All columns but those of texts, row by row: each record is looked at once, since they lie far apart.
void RecordColumns::fill(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                         const PeerDictionary* peers) {
  using enum ColumnId;
  const std::size_t count = records.size();
  const auto begin_of = [&](ColumnId column) {
    auto& out = (*this)[column];
    out.resize(count);
    return out.data();
  };
  // What is rare is left out where no record has it.
  bool no_start = false;
  bool orig_dst = false;
  bool v6 = false;
  bool flows = false;
  std::uint64_t flags = 0;
  std::uint64_t seqs = 0;
  std::uint32_t plains = 0;
  for (const SessionRecord& r : records) {
    no_start |= !r.session_start;
    orig_dst |= r.has_orig_dst;
    v6 |= !r.pub_ip.is_v4();
    seqs |= r.seq;
    flows |= r.flow != 0;
    flags |= r.tcp_flags;
    std::uint32_t bit = 1;
    visit_plain([&]<Field kField>() {
      plains |= plain_code<kField>(r) != 0 ? bit : 0;
      bit <<= 1;
    });
  }
  nat_ports.resize(count);
  auto* const ordinal = begin_of(kOrdinal);
  auto* const end_time = begin_of(kEndTime);
  auto* const start_time = begin_of(kStartTime);
  auto* const age = begin_of(kSessionAge);
  auto* const protocol = begin_of(kProtocol);
  auto* const pub_port = begin_of(kPubPort);
  auto* const pri_port = begin_of(kPriPort);
  auto* const outcome = begin_of(kOutcome);
  auto* const reason = begin_of(kReason);
  auto* const pkts_vpc = begin_of(kPktsFromVpc);
  auto* const pkts_pub = begin_of(kPktsFromPub);
  auto* const bytes_vpc = begin_of(kBytesFromVpc);
  auto* const bytes_pub = begin_of(kBytesFromPub);
  auto* const pub_low = begin_of(kPubLow);
  auto* const pub_high = v6 ? begin_of(kPubHigh) : nullptr;
  auto* const seq = seqs != 0 ? begin_of(kSeq) : nullptr;
  auto* const unknown = no_start ? begin_of(kNoSessionStart) : nullptr;
  auto* const place = peers != nullptr ? begin_of(kPubIp) : nullptr;
  if (!v6) (*this)[kPubHigh].clear();
  if (seqs == 0) (*this)[kSeq].clear();
  if (!no_start) (*this)[kNoSessionStart].clear();
  if (peers == nullptr) (*this)[kPubIp].clear();
  const std::uint64_t min_start = bits_of(info.min_start);
  Ordinal before = 0;
  for (std::size_t row = 0; row < count; ++row) {
    constexpr std::size_t kAhead = 6;
    if (row + kAhead < count) {
      const char* const ahead = reinterpret_cast<const char*>(&records[rows_[row + kAhead]]);
      for (std::size_t line = 0; line < sizeof(SessionRecord); line += 64) __builtin_prefetch(ahead + line);
    }
    const SessionRecord& r = records[rows_[row]];
    const Ordinal own = ordinals[rows_[row]];
    ordinal[row] = first_of_run[row] != 0 ? own - info.first : own - before - 1;
    before = own;
    nat_ports[row] = r.nat_port;
    const std::uint64_t end = bits_of(r.end_time);
    const std::uint64_t start = bits_of(r.start_time);
    end_time[row] = zigzag(end - static_cast<std::uint64_t>(clock.at(own - info.first)));
    age[row] = r.session_start ? start - bits_of(*r.session_start) : 0;
    start_time[row] = age[row] != 0 ? start - min_start : end - start;
    protocol[row] = r.protocol;
    pub_port[row] = r.pub_port;
    pri_port[row] = r.pri_port == r.nat_port ? 0U : r.pri_port + 1U;
    outcome[row] = static_cast<unsigned>(r.event) + 4 * static_cast<unsigned>(r.tcp_state);
    reason[row] = reason_code(r);
    pkts_vpc[row] = count_code(r.pkts_from_vpc);
    pkts_pub[row] = count_code(r.pkts_from_pub);
    bytes_vpc[row] = count_code(r.bytes_from_vpc);
    bytes_pub[row] = count_code(r.bytes_from_pub);
    if (seq != nullptr) seq[row] = r.seq;
    if (unknown != nullptr) unknown[row] = r.session_start ? 0U : 1U;
    const std::uint32_t known = place != nullptr ? peers->place_of(r.pub_ip) : 0;
    const Halves pub = halves_of(r.pub_ip);
    if (place != nullptr) place[row] = known;
    pub_low[row] = known != 0 ? 0 : pub.low - kMappedLow;
    if (pub_high != nullptr) pub_high[row] = known != 0 ? 0 : pub.high;
  }
  const auto each = [&](ColumnId column, bool some, auto value_of) {
    auto& out = (*this)[column];
    out.resize(some ? count : 0);
    for (std::size_t row = 0; row < out.size(); ++row) out[row] = value_of(records[rows_[row]]);
  };
  using R = SessionRecord;
  each(kHasOrigDst, orig_dst, [](const R& r) { return r.has_orig_dst ? 1U : 0U; });
  each(kOrigDstHigh, orig_dst, [](const R& r) { return r.has_orig_dst ? halves_of(r.orig_dst_ip).high : 0; });
  each(kOrigDstLow, orig_dst,
       [](const R& r) { return r.has_orig_dst ? halves_of(r.orig_dst_ip).low - kMappedLow : 0; });
  each(kOrigDstPort, orig_dst, [](const R& r) { return r.has_orig_dst ? r.orig_dst_port : 0U; });
  each(kFlow, flows,
       [](const R& r) { return 4 * std::uint64_t{r.flow} + static_cast<unsigned>(r.flow_kind); });
  each(kTcpFlags, flags != 0, [](const R& r) { return r.tcp_flags; });
  std::uint32_t bit = 1;
  visit_plain([&]<Field kField>() {
    each(kColumn<kField>, (plains & bit) != 0, [](const R& r) { return plain_code<kField>(r); });
    bit <<= 1;
  });
}

void RecordColumns::load(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                         const PeerDictionary* peers) {
  info = FrameInfo();
  info.first = ordinals.front();
  info.last = ordinals.back();
  info.records = static_cast<std::uint32_t>(records.size());
  info.min_start = info.max_start = records[0].start_time;
  info.min_end = info.max_end = records[0].end_time;
  for (const SessionRecord& record : records) {
    info.min_start = std::min(info.min_start, record.start_time);
    info.max_start = std::max(info.max_start, record.start_time);
    info.min_end = std::min(info.min_end, record.end_time);
    info.max_end = std::max(info.max_end, record.end_time);
  }
  sort(records);
  make_clock(records, ordinals);
  load_texts(records);
  fill(records, ordinals, peers);
}

}  // namespace natsession
