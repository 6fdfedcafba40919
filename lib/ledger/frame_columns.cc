#include "ledger/frame_columns.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "ledger/address_halves.h"
#include "record/labels.h"

namespace natsession {
namespace {

// Up to so many rows are remembered one by one.
constexpr std::size_t kFewRows = kBlockRows;

constexpr unsigned kBlocksAtOnce = 2;
constexpr std::uint32_t kNoRow = std::numeric_limits<std::uint32_t>::max();

UnixMs at_ms(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}

Count count_of(std::uint64_t value) {
  return value == kUnknownCount ? Count() : Count(value);
}

}  // namespace

Result<void> FrameColumns::open(std::span<const std::byte> frame, Peers peers) {
  forget();
  if (auto opened = parts_.open(frame); !opened) return opened;
  want_all();
  peers_of_ = [peers = std::move(peers)] { return peers; };
  if (load_peers()) return {};
  parts_.close();
  return error();
}

Result<void> FrameColumns::open(std::uint32_t bytes, Read read, PeersOf peers) {
  forget();
  if (auto opened = parts_.open(bytes, std::move(read)); !opened) return opened;
  want_all();
  peers_of_ = std::move(peers);
  return {};
}

// What is known of the frame before.
void FrameColumns::forget() {
  has_head_ = has_clock_ = has_blocks_ = has_texts_ = models_bad_ = false;
  models_done_ = 0;
  runs_done_ = 0;
  hosts_.clear();
  for (Reach& done : done_) done.fill(0);
  symbols_done_.fill(0);
  grouped_.fill(0);
  ports_done_ = 0;
  for (Reach* const done :
       {&pri_ports_done_, &pub_ports_done_, &protocol_done_, &outcome_done_, &session_start_done_}) {
    done->fill(0);
  }
  pub_ip_done_.clear();
  for (Block& block : blocks_) block.split = 0;
  pubs_.clear();
  why_.clear();
  peers_ = nullptr;
  peers_of_ = nullptr;
  peers_all_ = {};
}

bool FrameColumns::load_peers() {
  const std::uint32_t needed = parts_.peers();
  if (needed == 0) return true;
  if (peers_of_) peers_ = std::exchange(peers_of_, nullptr)();
  return (peers_ != nullptr && peers_->checksum() == needed) || fail(What::kPeers);
}

bool FrameColumns::fail(What what, ColumnId column) {
  failed_ = what;
  failed_column_ = column;
  return false;
}

Error FrameColumns::error() const {
  std::string what;
  switch (failed_) {
    case What::kColumn:
      what = "column " + std::to_string(at(failed_column_));
      break;
    case What::kPorts:
      what = "the column of nat_port";
      break;
    case What::kHosts:
      what = "the index of hosts";
      break;
    case What::kPeers:
      return Error{ErrorKind::kMalformed, "frame: the dictionary of addresses that it needs is not there"};
    case What::kModels:
      what = "the columns' models";
      break;
    default:
      what = "the head";
  }
  return Error{ErrorKind::kMalformed,
               "frame: " + what + (why_.empty() ? " is damaged" : " cannot be read: " + why_)};
}

void FrameColumns::want(std::span<const std::uint32_t> rows) {
  if (rows.size() == this->rows()) return want_all();
  wanted_ = 0;
  few_ = rows.size() <= kFewRows;
  if (!few_) {
    for (const std::uint32_t row : rows) wanted_ |= std::uint64_t{1} << (row / kBlockRows);
    return want_blocks(wanted_);
  }
  few_rows_.assign(rows.begin(), rows.end());
  reach_.fill(0);
  for (std::size_t i = 0; i < rows.size();) {
    const std::uint32_t block = rows[i] / kBlockRows;
    std::uint32_t last = rows[i];
    while (++i < rows.size() && rows[i] / kBlockRows == block) last = std::max(last, rows[i]);
    wanted_ |= std::uint64_t{1} << block;
    reach_[block] = std::max(reach_[block], static_cast<std::uint16_t>(last % kBlockRows + 1));
  }
}

void FrameColumns::want_all() {
  want_blocks(low_bits(static_cast<unsigned>(blocks_of(rows()))));
}

// All of their rows.
void FrameColumns::want_blocks(std::uint64_t blocks) {
  wanted_ = blocks;
  few_ = false;
  for (std::uint64_t left = blocks; left != 0; left &= left - 1) {
    const auto block = static_cast<std::size_t>(std::countr_zero(left));
    reach_[block] = static_cast<std::uint16_t>(rows_in(block));
  }
}

template <typename Make>
void FrameColumns::make_left(Reach& done, Make make) {
  for (std::uint64_t left = wanted_; left != 0; left &= left - 1) {
    const auto block = static_cast<std::size_t>(std::countr_zero(left));
    if (done[block] >= reach_[block]) continue;
    make(block * kBlockRows + done[block], block * kBlockRows + reach_[block]);
    done[block] = reach_[block];
  }
}

Result<void> FrameColumns::rows_of(const Wanted& nat_ip, const Wanted& pri_ip,
                                   std::vector<std::uint32_t>& rows) {
  rows.clear();
  if (this->rows() == 0) return {};  // no frame is open
  if (!load_blocks()) return error();
  const auto take = [&](std::uint32_t first, std::uint32_t count) {
    const std::size_t before = rows.size();
    rows.resize(before + count);
    std::iota(rows.begin() + static_cast<std::ptrdiff_t>(before), rows.end(), first);
  };
  std::vector<HostRun> runs;
  std::size_t asked = nats_.size();  // the address that was asked about last
  bool passes = false;
  bool none = false;
  const Halves from = halves_of(nat_ip.from);
  const Halves to = halves_of(nat_ip.to);
  for (std::size_t i = 0; i < host_blocks_.size(); ++i) {
    const HostBlock& block = host_blocks_[i];
    if (block.nat != asked) {
      const IpAddress& nat = nats_[asked = block.nat];
      const Halves halves = halves_of(nat);
      none = halves == Halves();
      passes = halves >= from && halves <= to && (!nat_ip.passes || nat_ip.passes(nat));
    }
    if (!passes && !none) continue;
    if (!pri_ip.passes || none) {
      take(block.first_row, block.rows);
      continue;
    }
    const bool followed = i + 1 < host_blocks_.size() && host_blocks_[i + 1].nat == block.nat;
    if (block.first > pri_ip.to || (followed && host_blocks_[i + 1].first < pri_ip.from)) continue;
    std::span<const std::byte> bytes;
    runs.clear();
    if (!parts_.get(kRunsPart, bytes) || !read_host_runs(block, bytes, pri_ip.from, pri_ip.to, runs)) {
      fail(What::kHosts);
      return error();
    }
    for (const HostRun& run : runs) {
      if (pri_ip.passes(run.pri_ip)) take(run.first_row, run.rows);
    }
  }
  return {};
}

Result<bool> FrameColumns::has_unspecified_nat_ip() {
  if (rows() == 0) return false;  // no frame is open
  if (!load_head()) return error();
  return std::any_of(nats_.begin(), nats_.end(),
                     [](const IpAddress& nat) { return halves_of(nat) == Halves(); });
}

bool FrameColumns::load_nat_ports() {
  nat_ports_.resize(std::max(nat_ports_.size(), rows()));
  for (std::uint64_t left = wanted_ & ~ports_done_; left != 0; left &= left - 1) {
    const auto block = static_cast<std::size_t>(std::countr_zero(left));
    const std::size_t begin = block * kBlockRows;
    const std::size_t count = rows_in(block);
    std::span<const std::byte> bytes;
    if (!parts_.get(kFirstPortsPart + block, bytes) || bytes.size() != 2 * count) return fail(What::kPorts);
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(nat_ports_.data() + begin, bytes.data(), bytes.size());
      continue;
    }
    for (std::size_t i = 0; i < count; ++i)
      nat_ports_[begin + i] = load_little_endian<std::uint16_t>(bytes.data() + 2 * i);
  }
  ports_done_ |= wanted_;
  return true;
}

// Narrow copies of a column, for the rows that have none yet.
template <typename T, typename ValueOf>
bool FrameColumns::load_narrow(ColumnId column, Reach& done, Scratch<T>& out, ValueOf value_of) {
  if (!load_column(column)) return false;
  out.resize(std::max(out.size(), rows()));
  const auto values = numbers(column);
  make_left(done, [&](std::size_t row, std::size_t end) {
    for (; row < end; ++row) out[row] = static_cast<T>(value_of(values[row], row));
  });
  return true;
}

bool FrameColumns::load_pri_ports() {
  return load_nat_ports() && load_narrow(ColumnId::kPriPort, pri_ports_done_, pri_ports_,
                                         [&](std::uint64_t value, std::size_t row) {
                                           return value == 0 ? nat_ports_[row] : value - 1;
                                         });
}

bool FrameColumns::load_outcome() {
  if (!load_column(ColumnId::kOutcome) || !load_column(ColumnId::kReason)) return false;
  for (Scratch<std::uint8_t>* const out : {&events_, &tcp_states_, &reasons_})
    out->resize(std::max(out->size(), rows()));
  const auto outcomes = numbers(ColumnId::kOutcome);
  const auto reasons = numbers(ColumnId::kReason);
  const Reach before = outcome_done_;
  std::uint8_t largest = 0;
  make_left(outcome_done_, [&](std::size_t row, std::size_t end) {
    for (; row < end; ++row) {
      events_[row] = static_cast<std::uint8_t>(outcomes[row] & 3);
      tcp_states_[row] = static_cast<std::uint8_t>(outcomes[row] >> 2);
      reasons_[row] = static_cast<std::uint8_t>(reasons[row]);
      if (events_[row] == static_cast<std::uint8_t>(RecordEvent::kEnd))
        reasons_[row] ^= static_cast<std::uint8_t>(RecordReason::kDestroyed);
      largest = std::max(largest, reasons_[row]);
    }
  });
  if (largest <= static_cast<std::uint8_t>(kLast<RecordReason>)) return true;
  outcome_done_ = before;  // who asks again is told again
  return fail(What::kColumn, ColumnId::kReason);
}

bool FrameColumns::load_texts() {
  for (const ColumnId column : {ColumnId::kOrigin, ColumnId::kVpcId, ColumnId::kIif, ColumnId::kOif}) {
    if (!load_head() || !load_column(column)) return false;
  }
  const auto within = [&](ColumnId column, std::size_t count) {
    if (!models_[plan_place(column)].present()) return true;
    const auto values = numbers(column);
    for (std::uint64_t left = wanted_; left != 0; left &= left - 1) {
      const auto block = static_cast<std::size_t>(std::countr_zero(left));
      const auto of_block = values.subspan(block * kBlockRows, reach_[block]);
      if (*std::max_element(of_block.begin(), of_block.end()) >= count) return fail(What::kColumn, column);
    }
    return true;
  };
  if (!within(ColumnId::kOrigin, origin_texts_.size() / 2) || !within(ColumnId::kVpcId, vpc_texts_.size()) ||
      !within(ColumnId::kIif, vpc_texts_.size() + 1) || !within(ColumnId::kOif, vpc_texts_.size() + 1)) {
    return false;
  }
  if (has_texts_) return true;
  const auto keep = [this](const auto& label, auto& labels) {
    if (label) {
      labels.push_back(*label);
      return true;
    }
    why_ = label.error().message;
    return fail(What::kHead);
  };
  origins_.clear();
  for (std::size_t text = 0; text < origin_texts_.size(); text += 2) {
    if (!keep(intern_origin(origin_texts_[text], origin_texts_[text + 1]), origins_)) return false;
  }
  vpc_ids_.clear();
  for (const std::string_view text : vpc_texts_) {
    if (!keep(intern_label(text), vpc_ids_)) return false;
  }
  return has_texts_ = true;
}

bool FrameColumns::load_all() {
  if (!load_pairs()) return false;
  for (std::size_t place = 0; place < kPlan.size(); ++place) {
    if (!load_column(place)) return false;
    all_[at(kPlan[place].column)] = numbers(kPlan[place].column).data();
  }
  for (std::uint64_t left = wanted_; left != 0; left &= left - 1) {
    const auto block = static_cast<std::size_t>(std::countr_zero(left));
    if (!split(block, kPlan.size() - 1) || !blocks_[block].rest.empty())
      return fail(What::kColumn, kPlan.back().column);
  }
  return load_runs() && load_pub_places() && load_pri_ports() && load_outcome() && load_texts();
}

Result<AddressColumn> FrameColumns::addresses(Field field) {
  if (rows() == 0) return AddressColumn();  // no frame is open
  if (field == Field::kPubIp) {
    if (!load_pub_ip()) return error();
    return AddressColumn{pubs_, std::span(pub_index_).first(rows())};
  }
  if (!load_runs()) return error();
  if (field == Field::kPriIp) return AddressColumn{hosts_, std::span(host_index_).first(rows())};
  return AddressColumn{nats_, std::span(nat_index_).first(rows())};
}

Result<std::span<const std::uint16_t>> FrameColumns::ports(Field field) {
  if (rows() == 0) return std::span<const std::uint16_t>();  // no frame is open
  if (field == Field::kNatPort) {
    if (!load_nat_ports()) return error();
    return std::span<const std::uint16_t>(nat_ports_).first(rows());
  }
  if (field == Field::kPriPort) {
    if (!load_pri_ports()) return error();
    return std::span<const std::uint16_t>(pri_ports_).first(rows());
  }
  const auto as_it_is = [](std::uint64_t value, std::size_t) { return value; };
  if (!load_narrow(ColumnId::kPubPort, pub_ports_done_, pub_ports_, as_it_is)) return error();
  return std::span<const std::uint16_t>(pub_ports_).first(rows());
}

Result<std::span<const std::int64_t>> FrameColumns::times(Field field) {
  if (rows() == 0) return std::span<const std::int64_t>();  // no frame is open
  if (field == Field::kSessionStart) {
    const auto session_start = [&](std::uint64_t unknown, std::size_t row) {
      return unknown != 0 ? kUnknownTime
                          : static_cast<std::int64_t>(numbers(ColumnId::kStartTime)[row] -
                                                      numbers(ColumnId::kSessionAge)[row]);
    };
    if (!load_column(ColumnId::kStartTime) || !load_column(ColumnId::kSessionAge) ||
        !load_narrow(ColumnId::kNoSessionStart, session_start_done_, session_starts_, session_start)) {
      return error();
    }
    return std::span<const std::int64_t>(session_starts_).first(rows());
  }
  const ColumnId column = field == Field::kEndTime ? ColumnId::kEndTime : ColumnId::kStartTime;
  if (!load_column(column)) return error();
  const auto values = numbers(column).first(rows());
  return std::span(reinterpret_cast<const std::int64_t*>(values.data()), values.size());
}

Result<std::span<const std::uint64_t>> FrameColumns::counters(Field field) {
  if (rows() == 0) return std::span<const std::uint64_t>();  // no frame is open
  const auto column = static_cast<ColumnId>(spec_of(field).column);
  if (!load_column(column)) return error();
  return numbers(column).first(rows());
}

Result<std::span<const std::uint8_t>> FrameColumns::small(Field field) {
  if (rows() == 0) return std::span<const std::uint8_t>();  // no frame is open
  if (field == Field::kProtocol) {
    const auto as_it_is = [](std::uint64_t value, std::size_t) { return value; };
    if (!load_narrow(ColumnId::kProtocol, protocol_done_, protocol_, as_it_is)) return error();
    return std::span<const std::uint8_t>(protocol_).first(rows());
  }
  if (!load_outcome()) return error();
  const auto& all = field == Field::kEvent ? events_ : field == Field::kReason ? reasons_ : tcp_states_;
  return std::span<const std::uint8_t>(all).first(rows());
}

Result<std::span<const Ordinal>> FrameColumns::ordinals() {
  if (rows() == 0) return std::span<const Ordinal>();  // no frame is open
  if (!load_column(ColumnId::kOrdinal)) return error();
  return numbers(ColumnId::kOrdinal).first(rows());
}

Result<std::span<const std::uint64_t>> FrameColumns::flows() {
  if (rows() == 0) return std::span<const std::uint64_t>();  // no frame is open
  if (!load_models(plan_place(ColumnId::kFlow))) return error();
  if (!models_[plan_place(ColumnId::kFlow)].present()) return std::span<const std::uint64_t>();
  if (!load_column(ColumnId::kFlow)) return error();
  return numbers(ColumnId::kFlow).first(rows());
}

// All columns are loaded, by load_all().
void FrameColumns::assemble(std::size_t row, SessionRecord& record) const {
  using enum ColumnId;
  const auto number = [&](ColumnId column) { return all_[at(column)][row]; };
  record.origin = origins_[number(kOrigin)];
  record.vpc_id = vpc_ids_[number(kVpcId)];
  if (const std::uint64_t flow = number(kFlow); flow != 0) {
    record.flow = static_cast<std::uint32_t>(flow / 4);
    record.flow_kind = static_cast<FlowKind>(flow % 4);
  }
  if (const std::uint64_t iif = number(kIif); iif != 0) record.iif = vpc_ids_[iif - 1];
  if (const std::uint64_t oif = number(kOif); oif != 0) record.oif = vpc_ids_[oif - 1];
  record.tcp_flags = static_cast<std::uint8_t>(number(kTcpFlags));
  record.pri_ip = hosts_[host_index_[row]];
  record.pub_ip = pub_ip(number(kPubIp), number(kPubHigh), number(kPubLow));
  record.nat_ip = nats_[nat_index_[row]];
  record.pri_port = pri_ports_[row];
  record.pub_port = static_cast<std::uint16_t>(number(kPubPort));
  record.nat_port = nat_ports_[row];
  record.bytes_from_pub = count_of(number(kBytesFromPub));
  record.pkts_from_pub = count_of(number(kPktsFromPub));
  record.bytes_from_vpc = count_of(number(kBytesFromVpc));
  record.pkts_from_vpc = count_of(number(kPktsFromVpc));
  record.start_time = at_ms(static_cast<std::int64_t>(number(kStartTime)));
  record.end_time = at_ms(static_cast<std::int64_t>(number(kEndTime)));
  if (number(kNoSessionStart) == 0) {
    record.session_start = at_ms(static_cast<std::int64_t>(number(kStartTime) - number(kSessionAge)));
  }
  record.seq = static_cast<std::uint32_t>(number(kSeq));
  record.protocol = static_cast<std::uint8_t>(number(kProtocol));
  record.event = static_cast<RecordEvent>(events_[row]);
  record.reason = static_cast<RecordReason>(reasons_[row]);
  record.tcp_state = static_cast<TcpState>(tcp_states_[row]);
  visit_plain([&]<Field kField>() { set_plain<kField>(number(kColumn<kField>), record); });
  if (number(kHasOrigDst) != 0) {
    record.has_orig_dst = true;
    record.orig_dst_ip = address_of({number(kOrigDstHigh), number(kOrigDstLow) + kMappedLow});
    record.orig_dst_port = static_cast<std::uint16_t>(number(kOrigDstPort));
  }
  record.session_id = record.event == RecordEvent::kGap ? 0 : derive_session_id(record);
}

Result<void> FrameColumns::materialise(std::span<const std::uint32_t> rows, RecordBlock& out) {
  want(rows);
  if (!rows.empty() && !load_all()) return error();
  if (rows.size() >= kPubRowsToMark && peers_ != nullptr) peers_all_ = peers_->all();
  const std::size_t before = out.records.size();
  out.records.resize(before + rows.size());
  out.ordinals.resize(before + rows.size());
  const auto ordinals = numbers(ColumnId::kOrdinal);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    assemble(rows[i], out.records[before + i]);
    out.ordinals[before + i] = ordinals[rows[i]];
  }
  return {};
}

Result<void> FrameColumns::materialise_all(RecordBlock& out) {
  if (rows() == 0) return {};  // no frame is open
  want_all();
  const auto all = ordinals();
  if (!all) return all.error();
  // Ordinals lie close together: they are sorted by where they are.
  std::vector<std::uint32_t> at(static_cast<std::size_t>(info().last - info().first + 1), kNoRow);
  for (std::uint32_t row = 0; row < rows(); ++row) {
    std::uint32_t& place = at[static_cast<std::size_t>((*all)[row] - info().first)];
    if (place != kNoRow) {
      fail(What::kColumn, ColumnId::kOrdinal);
      return error();
    }
    place = row;
  }
  if (peers_ != nullptr) peers_all_ = peers_->all();
  std::vector<std::uint32_t> rank(rows());
  std::uint32_t next = 0;
  for (const std::uint32_t row : at) {
    if (row != kNoRow) rank[row] = next++;
  }
  // A few blocks at once: what belongs together is in the processor's cache together.
  const std::size_t before = out.records.size();
  out.records.resize(before + rows());
  out.ordinals.resize(before + rows());
  for (std::size_t block = 0; block < blocks_of(rows()); block += kBlocksAtOnce) {
    want_blocks(low_bits(std::min(kBlocksAtOnce, static_cast<unsigned>(blocks_of(rows()) - block))) << block);
    if (!load_all()) {
      out.records.resize(before);
      out.ordinals.resize(before);
      want_all();
      return error();
    }
    const auto ordinals = numbers(ColumnId::kOrdinal);
    const std::size_t end = std::min(rows(), (block + kBlocksAtOnce) * kBlockRows);
    for (std::size_t row = block * kBlockRows; row < end; ++row) {
      // Records go where their ordinals say: far from one another.
      constexpr std::size_t kAhead = 8;
      if (row + kAhead < end) {
        const char* const ahead = reinterpret_cast<const char*>(&out.records[before + rank[row + kAhead]]);
        for (std::size_t line = 0; line < sizeof(SessionRecord); line += 64)
          __builtin_prefetch(ahead + line, 1);
      }
      assemble(row, out.records[before + rank[row]]);
      out.ordinals[before + rank[row]] = ordinals[row];
    }
  }
  want_all();
  return {};
}

Result<void> FrameDecoder::decode(std::span<const std::byte> frame, RecordBlock& out, Peers peers) {
  if (auto opened = columns_.open(frame, std::move(peers)); !opened) return opened;
  if (auto verified = columns_.verify(); !verified) return verified;
  return columns_.materialise_all(out);
}

}  // namespace natsession
