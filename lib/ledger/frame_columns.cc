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

// From so many rows on it is worth it to test each place of a segment's dictionary.
constexpr std::size_t kPubRowsToMark = 1024;

// Up to so many rows are remembered one by one.
constexpr std::size_t kFewRows = kBlockRows;

constexpr unsigned kBlocksAtOnce = 2;
constexpr std::uint32_t kNoRow = std::numeric_limits<std::uint32_t>::max();

// Where addresses are marked that may be among some: one in 64 others is, too.
std::size_t likely_bit(std::span<const std::uint64_t> likely, std::uint64_t high, std::uint64_t low) {
  const std::uint64_t mixed = (high * 0x9e37'79b9'7f4a'7c15U ^ low) * 0xbf58'476d'1ce4'e5b9U;
  return static_cast<std::size_t>(mixed >> 32) & (64 * likely.size() - 1);
}

void mark_likely(std::span<const IpAddress> addresses, std::vector<std::uint64_t>& likely) {
  constexpr std::size_t kMost = std::size_t{1} << 16;  // half a megabyte
  likely.assign(std::min(kMost, std::bit_ceil(addresses.size())), 0);
  for (const IpAddress& address : addresses) {
    const Halves halves = halves_of(address);
    const std::size_t bit = likely_bit(likely, halves.high, halves.low);
    likely[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
}

// True where nothing is marked.
bool may_be_among(std::span<const std::uint64_t> likely, std::uint64_t high, std::uint64_t low) {
  if (likely.empty()) return true;
  const std::size_t bit = likely_bit(likely, high, low);
  return (likely[bit / 64] >> (bit % 64) & 1) != 0;
}

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

// What pub_ip() goes by.
bool FrameColumns::load_pub_places() {
  if (!load_column(ColumnId::kPubIp) || !load_models(plan_place(ColumnId::kPubLow))) return false;
  const bool owns =
      models_[plan_place(ColumnId::kPubHigh)].present() || models_[plan_place(ColumnId::kPubLow)].present();
  return !owns || (load_column(ColumnId::kPubHigh) && load_column(ColumnId::kPubLow));
}

IpAddress FrameColumns::pub_ip(std::uint64_t place, std::uint64_t high, std::uint64_t low) const {
  if (place == 0) return address_of({high, low + kMappedLow});
  if (peers_all_.empty()) return peers_->at(static_cast<std::uint32_t>(place));
  return peers_all_[static_cast<std::size_t>(place - 1)];
}

Result<void> FrameColumns::keep_pub_ips(const Passes& passes, std::span<const IpAddress> only,
                                        PubMarks& marks, std::vector<std::uint32_t>& rows) {
  if (!load_models(plan_place(ColumnId::kPubLow))) return error();
  const bool coded = models_[plan_place(ColumnId::kPubIp)].present();
  if (coded && !load_peers()) return error();
  // Where only a few rows are asked about, the dictionary is not gone through for them.
  const bool marked =
      coded && peers_ != nullptr && (marks.dictionary == peers_->checksum() || rows.size() >= kPubRowsToMark);
  if (marks.likely.empty() && !only.empty()) mark_likely(only, marks.likely);
  if (marked && marks.dictionary != peers_->checksum()) {
    marks.dictionary = peers_->checksum();
    marks.passes.assign(peers_->size() + 1, 0);
    if (!only.empty()) {
      peers_->mark(only, marks.passes);
    } else {
      const auto all = peers_->all();
      for (std::size_t i = 0; i < all.size(); ++i) marks.passes[i + 1] = passes(all[i]) ? 1 : 0;
    }
    marks.before.resize(marks.passes.size() + 1);
    std::uint32_t before = 0;
    for (std::size_t i = 0; i < marks.passes.size(); ++i) {
      marks.before[i] = before;
      before += marks.passes[i];
    }
    marks.before.back() = before;
  }
  if (marked && !only.empty()) {
    if (!find_pub_ips(passes, marks)) return error();
    if (rows.size() == this->rows()) {
      rows = passing_rows_;
      return {};
    }
    passing_.resize(std::max(passing_.size(), this->rows()));
    for (const std::uint32_t row : rows) passing_[row] = 0;
    for (const std::uint32_t row : passing_rows_) passing_[row] = 1;
    keep_rows(rows, [&](std::uint32_t row) { return passing_[row] != 0; });
    return {};
  }
  if (!load_pub_places()) return error();
  const auto places = numbers(ColumnId::kPubIp);
  const auto highs = numbers(ColumnId::kPubHigh);
  const auto lows = numbers(ColumnId::kPubLow);
  keep_rows(rows, [&](std::uint32_t row) {
    const std::uint64_t place = places[row];
    if (marked && place != 0) return marks.passes[static_cast<std::size_t>(place)] != 0;
    if (place == 0 && !may_be_among(marks.likely, highs[row], lows[row] + kMappedLow)) return false;
    return passes(pub_ip(place, highs[row], lows[row]));
  });
  return {};
}

// Finds passing_rows_ in the wanted blocks, for a list of addresses. Most places in the dictionary have
// none of them: where no place that a symbol stands for has one, nothing more is read of it. Of addresses
// that the frame has itself, which few rows have, no others are decoded.
bool FrameColumns::find_pub_ips(const Passes& passes, const PubMarks& marks) {
  using enum ColumnId;
  const std::size_t place = plan_place(kPubIp);
  const std::size_t low_place = plan_place(kPubLow);
  const SymbolSet& set = models_[place].symbols();
  NumberDecoder& low = models_[low_place];
  const bool high_present = models_[plan_place(kPubHigh)].present();
  std::array<std::uint8_t, kMaxSymbols> asked{};
  for (std::size_t i = 0; i < set.size(); ++i) {
    const std::uint64_t first = set.base[i];
    const std::uint64_t last = std::min<std::uint64_t>(peers_->size(), first + low_bits(set.bits[i]) < first
                                                                           ? ~std::uint64_t{0}
                                                                           : first + low_bits(set.bits[i]));
    asked[i] = first == 0 || (first <= last && marks.before[static_cast<std::size_t>(last) + 1] !=
                                                   marks.before[static_cast<std::size_t>(first)]);
  }
  if (!load_symbols(place)) return false;
  const bool alone = !high_present && low.present() && grouped_columns_[low_place] && low.has_one_symbol(0) &&
                     symbols_done_[low_place] == 0;
  if (!alone && !(load_column(kPubHigh) && load_column(kPubLow))) return false;
  const auto lows = numbers(kPubLow);
  const auto highs = numbers(kPubHigh);
  passing_rows_.clear();
  const auto own_passes = [&](std::uint64_t of_high, std::uint64_t of_low) {
    return may_be_among(marks.likely, of_high, of_low + kMappedLow) && passes(pub_ip(0, of_high, of_low));
  };
  for (std::uint64_t left = wanted_; left != 0; left &= left - 1) {
    const auto block = static_cast<std::size_t>(std::countr_zero(left));
    const std::size_t begin = block * kBlockRows;
    found_.clear();
    own_rows_.clear();
    const NumberDecoder::Block coded{
        blocks_[block].streams[place], {}, std::span(symbols_[place]).subspan(begin, rows_in(block))};
    if (!models_[place].find(coded, asked, found_)) return fail(What::kColumn, kPubIp);
    for (const auto& [number, row] : found_) {
      if (number > peers_->size()) return fail(What::kColumn, kPubIp);
      if (number == 0) own_rows_.push_back(row);
    }
    own_lows_.resize(own_rows_.size());
    if (!alone) {
      for (std::size_t i = 0; i < own_rows_.size(); ++i) own_lows_[i] = lows[begin + own_rows_[i]];
    } else if (!own_rows_.empty() &&
               (!split(block, low_place) ||
                !low.get_some(blocks_[block].streams[low_place], own_rows_, 1, own_lows_))) {
      return fail(What::kColumn, kPubLow);
    }
    std::size_t own = 0;
    for (const auto& [number, row] : found_) {
      const auto at = static_cast<std::uint32_t>(begin + row);
      const bool pass = number != 0 ? marks.passes[static_cast<std::size_t>(number)] != 0
                                    : own_passes(alone ? 0 : highs[at], own_lows_[own++]);
      if (pass) passing_rows_.push_back(at);
    }
  }
  return true;
}

bool FrameColumns::load_pub_ip() {
  if (!load_pub_places()) return false;
  const auto places = numbers(ColumnId::kPubIp);
  const auto highs = numbers(ColumnId::kPubHigh);
  const auto lows = numbers(ColumnId::kPubLow);
  const std::size_t peers = peers_ != nullptr ? peers_->size() : 0;
  if (pub_ip_done_.empty()) {
    for (const std::uint32_t place : pub_places_) pub_of_[place] = 0;
    pub_places_.clear();
    if (pub_of_.size() <= peers) pub_of_.resize(peers + 1);
    pub_ip_done_.assign((rows() + 63) / 64, 0);
  }
  if ((!few_ || few_rows_.size() >= kPubRowsToMark) && peers_ != nullptr) peers_all_ = peers_->all();
  pub_index_.resize(std::max(pub_index_.size(), rows()));
  // An address of the dictionary takes longer to find than all else of a row: none is looked for in vain.
  const auto make = [&](std::size_t row) {
    const std::uint64_t bit = std::uint64_t{1} << (row % 64);
    if ((pub_ip_done_[row / 64] & bit) != 0) return;
    pub_ip_done_[row / 64] |= bit;
    const std::uint64_t place = places[row];
    if (place == 0) {
      pub_index_[row] = static_cast<std::uint16_t>(pubs_.size());
      pubs_.push_back(pub_ip(0, highs[row], lows[row]));
      return;
    }
    std::uint32_t& known = pub_of_[static_cast<std::size_t>(place)];
    if (known == 0) {
      pubs_.push_back(pub_ip(place, 0, 0));
      pub_places_.push_back(static_cast<std::uint32_t>(place));
      known = static_cast<std::uint32_t>(pubs_.size());
    }
    pub_index_[row] = static_cast<std::uint16_t>(known - 1);
  };
  if (few_) {
    for (const std::uint32_t row : few_rows_) make(row);
    return true;
  }
  for (std::uint64_t left = wanted_; left != 0; left &= left - 1) {
    const std::size_t begin = static_cast<std::size_t>(std::countr_zero(left)) * kBlockRows;
    for (std::size_t row = begin; row < std::min(rows(), begin + kBlockRows); ++row) make(row);
  }
  return true;
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
  if (!within(ColumnId::kOrigin, origin_texts_.size() / 2) ||
      !within(ColumnId::kVpcId, vpc_texts_.size()) || !within(ColumnId::kIif, vpc_texts_.size() + 1) ||
      !within(ColumnId::kOif, vpc_texts_.size() + 1)) {
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
  if (!load_models()) return error();
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
