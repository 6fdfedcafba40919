// pub_ip of a frame's rows: places in the segment's dictionary, or addresses that the frame has itself.
#include <algorithm>
#include <bit>

#include "ledger/address_halves.h"
#include "ledger/frame_columns.h"

namespace natsession {
namespace {

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

}  // namespace

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

}  // namespace natsession
