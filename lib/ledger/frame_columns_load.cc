// What the parts of a frame say: its head, whose the rows are, models, groups, and the columns block by
// block.
#include <algorithm>

#include "ledger/frame_columns.h"

namespace natsession {
namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

// Not const: so it takes no room in the program, nor memory.
std::span<const std::uint64_t> zeros() {
  static std::array<std::uint64_t, kMaxSealedRecords> kept;
  return kept;
}

// The largest number that a column may have.
constexpr auto kLimits = [] {
  std::array<std::uint64_t, kColumnIds> limits{};
  limits.fill(kNoLimit);
  using enum ColumnId;
  const auto set = [&](ColumnId column, std::uint64_t limit) {
    limits[static_cast<std::size_t>(column)] = limit;
  };
  set(kPriPort, 0x10000);
  set(kPubPort, 0xffff);
  set(kProtocol, 0xff);
  set(kOutcome, 3 + 4 * static_cast<std::uint64_t>(TcpState::kSynSent2));
  set(kReason, 0xff);
  set(kNoSessionStart, 1);
  set(kSeq, kSpec<Field::kSeq>.limit);
  set(kHasOrigDst, 1);
  set(kOrigDstPort, 0xffff);
  set(kFlow, 4 * std::uint64_t{kMaxFlow} + 3);
  set(kTcpFlags, 0xff);
  visit_plain([&]<Field kField>() {
    if constexpr (!std::is_same_v<FieldType<kField>, Count>) set(kColumn<kField>, kSpec<kField>.limit);
  });
  return limits;
}();

constexpr auto kPlaces = [] {
  std::array<std::uint8_t, kColumnIds> places{};
  for (std::size_t place = 0; place < kPlan.size(); ++place) {
    places[static_cast<std::size_t>(kPlan[place].column)] = static_cast<std::uint8_t>(place);
  }
  return places;
}();

constexpr std::uint8_t kNotListed = 0xff;

std::span<const std::uint8_t> no_symbols() {
  static constexpr std::array<std::uint8_t, kBlockRows> kNone{};
  return kNone;
}

// Codes of counts, which are one more than the counts.
constexpr auto kIsCount = [] {
  std::array<bool, kColumnIds> counts{};
  for (const ColumnId column :
       {ColumnId::kPktsFromVpc, ColumnId::kPktsFromPub, ColumnId::kBytesFromVpc, ColumnId::kBytesFromPub}) {
    counts[static_cast<std::size_t>(column)] = true;
  }
  return counts;
}();

// Columns whose numbers are not 0 where nothing is coded.
constexpr auto kHasOffset = [] {
  auto offsets = kIsCount;
  for (const ColumnId column : {ColumnId::kOrdinal, ColumnId::kEndTime, ColumnId::kStartTime}) {
    offsets[static_cast<std::size_t>(column)] = true;
  }
  return offsets;
}();

bool read_texts(ByteReader& in, std::size_t parts, std::vector<std::string_view>& texts) {
  const std::uint64_t count = in.varint();
  if (!in.ok() || count == 0 || count % parts != 0 || count > parts * kMaxSealedRecords || count > in.left())
    return false;
  texts.clear();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t length = in.varint();
    if (length > kMaxTextBytes) return false;
    const auto bytes = in.take(length);
    if (!in.ok()) return false;
    texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return true;
}

}  // namespace

std::size_t FrameColumns::plan_place(ColumnId column) {
  return kPlaces[static_cast<std::size_t>(column)];
}

bool FrameColumns::load_head() {
  if (has_head_) return true;
  std::span<const std::byte> bytes;
  if (!parts_.get(kHeadPart, bytes)) return fail(What::kHead);
  ByteReader in(bytes);
  if (!read_texts(in, 2, origin_texts_) || !read_texts(in, 1, vpc_texts_)) return fail(What::kHead);
  const std::uint64_t nats = in.varint();
  if (!in.ok() || nats == 0 || nats > rows()) return fail(What::kHead);
  const auto addresses = in.take(16 * nats);
  const std::uint64_t step = in.varint();
  const std::uint64_t span = info().last - info().first + 1;
  // A span of all ordinals that there are is 0 here.
  if (!in.ok() || step == 0 || step > std::numeric_limits<std::int32_t>::max() ||
      span - 1 >= kMaxSealedRecords) {
    return fail(What::kHead);
  }
  nats_.clear();
  for (std::size_t i = 0; i < nats; ++i) {
    nats_.push_back(IpAddress::from_v6(std::span<const std::uint8_t, 16>(
        reinterpret_cast<const std::uint8_t*>(addresses.data()) + 16 * i, 16)));
  }
  clock_.step = static_cast<std::uint32_t>(step);
  knots_ = in.rest();
  return has_head_ = true;
}

bool FrameColumns::load_clock() {
  if (has_clock_) return true;
  if (!load_head()) return false;
  ByteReader in(knots_);
  const std::uint64_t step = clock_.step;
  const std::uint64_t span = info().last - info().first + 1;
  clock_.knots.clear();
  auto knot = static_cast<std::uint64_t>(info().min_end.time_since_epoch().count());
  for (std::uint64_t offset = 0;; offset += step) {
    clock_.knots.push_back(static_cast<std::int64_t>(knot += unzigzag(in.varint())));
    if (offset >= span) break;
  }
  if (!in.ok() || in.left() != 0) return fail(What::kHead);
  return has_clock_ = true;
}

bool FrameColumns::load_blocks() {
  if (has_blocks_) return true;
  std::span<const std::byte> bytes;
  if (!load_head()) return false;
  if (!parts_.get(kHostsPart, bytes) ||
      !read_host_blocks(bytes, nats_.size(), rows(), parts_.length(kRunsPart), host_blocks_)) {
    return fail(What::kHosts);
  }
  host_block_done_.assign(host_blocks_.size(), 0);
  return has_blocks_ = true;
}

bool FrameColumns::load_runs() {
  const std::uint64_t left = wanted_ & ~runs_done_;
  if (left == 0) return true;
  std::span<const std::byte> bytes;
  if (!load_blocks()) return false;
  if (!parts_.get(kRunsPart, bytes)) return fail(What::kHosts);
  if (host_index_.size() < rows()) {
    host_index_.resize(rows());
    nat_index_.resize(rows());
    first_of_run_.resize(rows());
  }
  for (std::size_t place = 0; place < host_blocks_.size(); ++place) {
    const HostBlock& block = host_blocks_[place];
    const std::size_t first = block.first_row / kBlockRows;
    const std::size_t last = (block.first_row + block.rows - 1) / kBlockRows;
    if (host_block_done_[place] != 0 ||
        (left >> first & low_bits(static_cast<unsigned>(last - first + 1))) == 0)
      continue;
    runs_.clear();
    if (!read_host_runs(block, bytes, runs_)) return fail(What::kHosts);
    host_block_done_[place] = 1;
    std::fill_n(nat_index_.begin() + block.first_row, block.rows, block.nat);
    std::fill_n(first_of_run_.begin() + block.first_row, block.rows, 0);
    for (const HostRun& run : runs_) {
      std::fill_n(host_index_.begin() + run.first_row, run.rows, static_cast<std::uint16_t>(hosts_.size()));
      first_of_run_[run.first_row] = 1;
      hosts_.push_back(run.pri_ip);
    }
    for (std::size_t row = (block.first_row + kBlockRows - 1) / kBlockRows * kBlockRows;
         row < block.first_row + block.rows; row += kBlockRows) {
      first_of_run_[row] = 1;
    }
  }
  runs_done_ |= left;
  return true;
}

// Where its groups are listed, and the models themselves: no more of them than are needed, for they take as
// long as some blocks.
bool FrameColumns::load_models(std::size_t place) {
  if (models_done_ > place) return true;
  const auto bad = [this] {
    models_bad_ = true;
    return fail(What::kModels);
  };
  if (models_bad_) return bad();
  if (models_done_ == 0 && !load_keys()) return bad();
  ByteReader in(models_rest_);
  while (in.left() > 0) {
    const auto byte = std::to_integer<std::uint8_t>(in.rest().front());
    const std::size_t next = byte & 0x7fU;
    if (next < models_done_ || next >= kPlan.size()) return bad();
    if (next > place) break;
    static_cast<void>(in.u8());
    const Context context = kPlan[next].context;
    grouped_columns_[next] = (byte & kGroupedModel) != 0;
    if (grouped_columns_[next] && context == Context::kNone) return bad();
    const std::size_t groups = grouped_columns_[next] ? group_counts_[static_cast<std::size_t>(context)] : 1;
    if (!models_[next].load(in, groups)) return bad();
    models_done_ = next + 1;
    models_rest_ = in.rest();
  }
  models_done_ = place + 1;
  return true;
}

bool FrameColumns::load_keys() {
  std::span<const std::byte> bytes;
  if (!parts_.get(kModelsPart, bytes)) return false;
  ByteReader in(bytes);
  group_counts_.fill(2);
  group_counts_[static_cast<std::size_t>(Context::kUsual)] = kMaxServices + 1;
  for (std::size_t context = 0; context < kContexts; ++context) {
    if (!is_listed(static_cast<Context>(context))) continue;
    Listed& listed = listed_[context];
    if (listed.group_of.empty()) listed.group_of.assign(0x10000, kNotListed);
    for (const std::uint16_t key : listed.keys) listed.group_of[key] = kNotListed;
    listed.keys.clear();
    const std::uint64_t count = in.varint();
    if (!in.ok() || count >= kMaxGroupsOfModel) return false;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t key = in.varint();
      if (key > 0xffff) return false;
      listed.keys.push_back(static_cast<std::uint16_t>(key));
      listed.group_of[static_cast<std::size_t>(key)] = static_cast<std::uint8_t>(i);
    }
    group_counts_[context] = static_cast<std::size_t>(count) + 1;
  }
  for (NumberDecoder& model : models_) model.clear();
  grouped_columns_.reset();
  models_rest_ = in.rest();
  return in.ok();
}

// Finds where each column's bytes stand in a block, up to this one. Their models are loaded.
bool FrameColumns::split(std::size_t number, std::size_t place) {
  Block& block = blocks_[number];
  if (block.split > place) return true;
  if (block.split == 0 && !parts_.get(kFirstPortsPart + blocks_of(rows()) + number, block.rest)) return false;
  ByteReader in(block.rest);
  for (std::size_t column = block.split; column <= place; ++column) {
    if (!models_[column].present()) continue;
    block.streams[column] = NumberDecoder::take_block(in);
    if (!in.ok()) return false;
  }
  block.rest = in.rest();
  block.split = place + 1;
  return true;
}

std::span<const std::uint64_t> FrameColumns::numbers(ColumnId column) const {
  const std::size_t place = plan_place(column);
  if (!models_[place].present() && !kHasOffset[at(column)]) return zeros().first(rows());
  return numbers_[place];
}

bool FrameColumns::load_column(std::size_t place) {
  if (!load_models(place)) return false;
  std::uint64_t left = 0;
  for (std::uint64_t wanted = wanted_; wanted != 0; wanted &= wanted - 1) {
    const auto block = static_cast<std::size_t>(std::countr_zero(wanted));
    if (done_[place][block] < reach_[block]) left |= std::uint64_t{1} << block;
  }
  for (; left != 0; left &= left - 1) {
    const auto block = static_cast<std::size_t>(std::countr_zero(left));
    if (models_[place].present() && (symbols_done_[place] >> block & 1) == 0) {
      const std::uint64_t others = left & (left - 1) & ~symbols_done_[place];
      if (others != 0 ? !get_symbols(place, block, place, static_cast<std::size_t>(std::countr_zero(others)))
                      : !get_symbols(place, block)) {
        return false;
      }
    }
    if (!decode(place, block, reach_[block])) return false;
  }
  return true;
}

bool FrameColumns::load_symbols(std::size_t place) {
  for (std::uint64_t left = wanted_ & ~symbols_done_[place]; left != 0;
       left = wanted_ & ~symbols_done_[place]) {
    const auto block = static_cast<std::size_t>(std::countr_zero(left));
    if (std::has_single_bit(left)
            ? !get_symbols(place, block)
            : !get_symbols(place, block, place,
                           static_cast<std::size_t>(std::countr_zero(left & (left - 1))))) {
      return false;
    }
  }
  return true;
}

// Where one block alone is wanted, two columns are decoded at once that do not depend on each other.
bool FrameColumns::load_pairs() {
  if (!std::has_single_bit(wanted_)) return true;
  if (!load_models(kPlan.size() - 1)) return false;
  const auto block = static_cast<std::size_t>(std::countr_zero(wanted_));
  using enum ColumnId;
  constexpr std::array<std::array<ColumnId, 2>, 7> kPairs = {{{kEndTime, kPubIp},
                                                              {kOrdinal, kProtocol},
                                                              {kPubPort, kPubLow},
                                                              {kOutcome, kSessionAge},
                                                              {kStartTime, kPktsFromVpc},
                                                              {kSeq, kPktsFromPub},
                                                              {kBytesFromVpc, kBytesFromPub}}};
  for (const auto& [one, other] : kPairs) {
    const std::size_t first = plan_place(one);
    const std::size_t second = plan_place(other);
    const auto is_left = [&](std::size_t place) {
      return models_[place].present() && (symbols_done_[place] >> block & 1) == 0;
    };
    if (is_left(first) && is_left(second) && !get_symbols(first, block, second, block)) return false;
  }
  return true;
}

// What get_symbols() needs of a block.
bool FrameColumns::find_stream(std::size_t place, std::size_t block, NumberDecoder::Block& coded) {
  if (symbols_[place].size() < rows()) symbols_[place].resize(rows());
  if (grouped_columns_[place] && !make_groups(kPlan[place].context, block, coded.groups)) return false;
  if (!split(block, place)) return fail(What::kColumn, kPlan[place].column);
  coded.bytes = blocks_[block].streams[place];
  coded.symbols = std::span(symbols_[place]).subspan(block * kBlockRows, rows_in(block));
  return true;
}

// Its symbols, of which the numbers are to be made by decode().
bool FrameColumns::get_symbols(std::size_t place, std::size_t block) {
  NumberDecoder::Block coded;
  if (!find_stream(place, block, coded)) return false;
  if (!models_[place].get_symbols(coded)) return fail(What::kColumn, kPlan[place].column);
  blocks_[block].streams[place] = coded.bytes;
  symbols_done_[place] |= std::uint64_t{1} << block;
  return true;
}

// Those of another, too.
bool FrameColumns::get_symbols(std::size_t place, std::size_t block, std::size_t other_place,
                               std::size_t other_block) {
  NumberDecoder::Block coded;
  NumberDecoder::Block other;
  if (!find_stream(place, block, coded) || !find_stream(other_place, other_block, other)) return false;
  if (!models_[place].get_symbols(coded, models_[other_place], other))
    return fail(What::kColumn, kPlan[place].column);
  blocks_[block].streams[place] = coded.bytes;
  blocks_[other_block].streams[other_place] = other.bytes;
  symbols_done_[place] |= std::uint64_t{1} << block;
  symbols_done_[other_place] |= std::uint64_t{1} << other_block;
  return true;
}

// The group of each row of a block. Earlier columns are decoded for it.
bool FrameColumns::make_groups(Context context, std::size_t block, GroupSpan& groups) {
  using enum ColumnId;
  const auto place = static_cast<std::size_t>(context);
  const std::size_t begin = block * kBlockRows;
  const std::size_t count = rows_in(block);
  Scratch<std::uint8_t>& all = groups_[place];
  if (all.size() < rows()) all.resize(rows());
  const std::span<std::uint8_t> out = std::span(all).subspan(begin, count);
  groups = out;
  const std::uint64_t bit = std::uint64_t{1} << block;
  if ((grouped_[place] & bit) != 0) return true;

  const auto ready = [&](ColumnId column) { return decode(plan_place(column), block, count); };
  const auto coded = [&](ColumnId column) {
    const std::size_t needed = plan_place(column);
    return !models_[needed].present() || (symbols_done_[needed] & bit) != 0 || get_symbols(needed, block);
  };
  const auto values = [&](ColumnId column) { return numbers(column).subspan(begin, count); };
  const auto symbols = [&](ColumnId column) {
    const std::size_t needed = plan_place(column);
    return models_[needed].present() ? std::span<const std::uint8_t>(symbols_[needed]).subspan(begin, count)
                                     : no_symbols().first(count);
  };
  // Which symbols stand for numbers other than 0: those whose least number is not 0.
  const auto tell_zeros = [&](ColumnId column, std::array<std::uint8_t, kMaxSymbols>& not_zero) {
    const NumberDecoder& model = models_[plan_place(column)];
    not_zero.fill(0);
    if (!model.present()) return;
    for (std::size_t i = 0; i < model.symbols().size(); ++i) not_zero[i] = model.symbols().base[i] != 0;
  };
  std::array<std::uint8_t, kMaxSymbols> not_zero;
  const auto listed = [&](auto key_of) {
    const Listed& list = listed_[place];
    const auto last = static_cast<std::uint8_t>(list.keys.size());
    for (std::size_t i = 0; i < count; ++i) out[i] = std::min(list.group_of[key_of(i)], last);
  };
  switch (context) {
    case Context::kNone:
      return false;
    case Context::kFirstOfRun:
      if (!load_runs()) return false;
      groups = std::span<const std::uint8_t>(first_of_run_).subspan(begin, count);
      return true;
    case Context::kOwnPub: {
      if (!coded(kPubIp)) return false;
      const auto pubs = symbols(kPubIp);
      tell_zeros(kPubIp, not_zero);
      for (std::size_t i = 0; i < count; ++i) out[i] = not_zero[pubs[i]] ^ 1;
      break;
    }
    case Context::kContinued: {
      if (!coded(kSessionAge)) return false;
      const auto ages = symbols(kSessionAge);
      tell_zeros(kSessionAge, not_zero);
      for (std::size_t i = 0; i < count; ++i) out[i] = not_zero[ages[i]];
      break;
    }
    case Context::kUsual: {
      if (!ready(kPubIp)) return false;
      const auto pubs = values(kPubIp);
      for (std::size_t i = 0; i < count; ++i) out[i] = peers_ != nullptr ? peers_->service(pubs[i]) : 0;
      break;
    }
    case Context::kAsked: {
      GroupSpan usual;
      if (!make_groups(Context::kUsual, block, usual) || !coded(kProtocol)) return false;
      const auto protocol = symbols(kProtocol);
      listed([&](std::size_t i) { return asked_key(usual[i], protocol[i]); });
      break;
    }
    case Context::kService: {
      if (!coded(kProtocol) || !coded(kPubPort)) return false;
      const auto protocol = symbols(kProtocol);
      const auto port = symbols(kPubPort);
      listed([&](std::size_t i) { return service_key(protocol[i], port[i]); });
      break;
    }
    case Context::kKind: {
      GroupSpan service;
      if (!make_groups(Context::kService, block, service) || !coded(kOutcome) || !coded(kSessionAge))
        return false;
      const auto outcome = symbols(kOutcome);
      const auto ages = symbols(kSessionAge);
      tell_zeros(kSessionAge, not_zero);
      listed([&](std::size_t i) { return kind_key(service[i], outcome[i], not_zero[ages[i]] != 0); });
      break;
    }
    case Context::kSize:
    case Context::kReply: {
      const ColumnId packets = context == Context::kSize ? kPktsFromVpc : kPktsFromPub;
      GroupSpan service;
      if (!make_groups(Context::kService, block, service) || !ready(packets)) return false;
      const auto counts = values(packets);
      listed([&](std::size_t i) { return size_key(service[i], counts[i] + 1); });
      break;
    }
  }
  grouped_[place] |= bit;
  return true;
}

// The first rows of one column of one block.
bool FrameColumns::decode(std::size_t place, std::size_t block, std::size_t count) {
  if (done_[place][block] >= count) return true;
  const ColumnId column = kPlan[place].column;
  const std::size_t begin = block * kBlockRows;
  const bool present = models_[place].present();
  if (!present && !kHasOffset[at(column)]) return true;
  if (column == ColumnId::kPubIp && !load_peers()) return false;
  if (numbers_[place].size() < rows()) numbers_[place].resize(rows());
  const std::span<std::uint64_t> values = std::span(numbers_[place]).subspan(begin, count);
  if (present) {
    if ((symbols_done_[place] >> block & 1) == 0 && !get_symbols(place, block)) return false;
    NumberSpan packets;
    if (column == ColumnId::kBytesFromVpc || column == ColumnId::kBytesFromPub) {
      const std::size_t of =
          plan_place(column == ColumnId::kBytesFromVpc ? ColumnId::kPktsFromVpc : ColumnId::kPktsFromPub);
      if (!decode(of, block, count)) return false;
      packets = numbers(kPlan[of].column).subspan(begin, count);
    }
    const NumberDecoder::Block coded{
        blocks_[block].streams[place], {}, std::span(symbols_[place]).subspan(begin, rows_in(block))};
    if (!models_[place].get_numbers(coded, packets, values)) return fail(What::kColumn, column);
    const std::uint64_t limit =
        column == ColumnId::kPubIp ? (peers_ != nullptr ? peers_->size() : 0) : kLimits[at(column)];
    if (limit != kNoLimit && *std::max_element(values.begin(), values.end()) > limit)
      return fail(What::kColumn, column);
  } else {
    std::fill(values.begin(), values.end(), 0);
  }
  if (!settle(column, begin, values)) return false;
  done_[place][block] = static_cast<std::uint16_t>(count);
  return true;
}

// Makes of the coded numbers what they stand for.
bool FrameColumns::settle(ColumnId column, std::size_t begin, std::span<std::uint64_t> values) {
  using enum ColumnId;
  const auto ready = [&](ColumnId needed) {
    return decode(plan_place(needed), begin / kBlockRows, values.size());
  };
  if (kIsCount[at(column)]) {
    for (std::uint64_t& value : values) --value;  // unknown, 0, becomes kUnknownCount
    return true;
  }
  switch (column) {
    case kOrdinal: {
      if (!load_runs()) return false;
      const std::uint64_t span = info().last - info().first;
      Ordinal next = info().first;
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (first_of_run_[begin + i] != 0) next = info().first;
        if (values[i] > span || next > info().last - values[i]) return fail(What::kColumn, column);
        values[i] += next;
        next = values[i] + 1;
      }
      return true;
    }
    case kEndTime: {
      if (!ready(kOrdinal) || !load_clock()) return false;
      const auto ordinals = numbers(kOrdinal).subspan(begin, values.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<std::uint64_t>(clock_.at(ordinals[i] - info().first)) + unzigzag(values[i]);
      }
      return true;
    }
    case kStartTime: {
      if (!ready(kEndTime) || !ready(kSessionAge)) return false;
      const auto ends = numbers(kEndTime).subspan(begin, values.size());
      const auto ages = numbers(kSessionAge).subspan(begin, values.size());
      const auto min_start = static_cast<std::uint64_t>(info().min_start.time_since_epoch().count());
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = ages[i] != 0 ? min_start + values[i] : ends[i] - values[i];
      return true;
    }
    default:
      return true;
  }
}

}  // namespace natsession
