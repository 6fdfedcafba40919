#include "ledger/frame_columns.h"

#include <algorithm>
#include <numeric>

#include "ledger/address_halves.h"
#include "ledger/crc32c.h"
#include "record/labels.h"

namespace natsession {
namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
// So much is read first: header and directory, and mostly head and hosts, too.
constexpr std::size_t kFront = 12 << 10;

UnixMs at_ms(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}

Count count_of(std::uint64_t value) {
  return value == kUnknownCount ? Count() : Count(value);
}

std::span<const std::uint64_t> zeros() {
  static const std::vector<std::uint64_t> kZeros(kMaxSealedRecords, 0);
  return kZeros;
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
constexpr std::uint32_t kNoRow = std::numeric_limits<std::uint32_t>::max();

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

Result<void> FrameColumns::open(std::span<const std::byte> frame, Peers peers) {
  frame_ = frame;
  read_ = nullptr;
  auto begun = begin(frame, std::move(peers));
  if (begun && info_.bytes != frame.size()) {
    info_ = FrameInfo();
    return Error{ErrorKind::kMalformed, "frame: its length is not what it says"};
  }
  return begun;
}

Result<void> FrameColumns::open(std::uint32_t bytes, Read read, Peers peers) {
  if (buffer_.size() < bytes) buffer_.resize(bytes);
  frame_ = std::span<const std::byte>(buffer_).first(bytes);
  read_ = std::move(read);
  const std::size_t front = std::min<std::size_t>(bytes, kFront);
  info_ = FrameInfo();
  if (!read_(0, std::span(buffer_).first(front))) return Error{ErrorKind::kMalformed, "the frame is cut off"};
  auto begun = begin(std::span<const std::byte>(buffer_).first(front), std::move(peers));
  if (begun && info_.bytes != bytes) {
    info_ = FrameInfo();
    return Error{ErrorKind::kMalformed, "frame: its length is not what it says"};
  }
  return begun;
}

Result<void> FrameColumns::begin(std::span<const std::byte> front, Peers peers) {
  info_ = FrameInfo();
  peers_ = std::move(peers);
  has_head_ = has_blocks_ = has_models_ = has_texts_ = false;
  runs_done_ = 0;
  hosts_.clear();
  done_.fill(0);
  grouped_.fill(0);
  ports_done_ = pri_ports_done_ = pub_ports_done_ = protocol_done_ = outcome_done_ = pub_ip_done_ =
      session_start_done_ = 0;
  for (Block& block : blocks_) block.split = false;
  pubs_.clear();
  why_.clear();
  auto header = parse_frame_header(front);
  if (!header) return header.error();
  if (!header->info.readable) return Error{ErrorKind::kUnavailable, header->info.why};
  const auto malformed = [](const char* what) {
    return Error{ErrorKind::kMalformed, std::string("frame directory: ") + what};
  };
  const std::size_t directory_bytes = header->parts * kDirectoryEntryBytes;
  if (front.size() < kFrameHeaderBytes + directory_bytes) return malformed("cut short");
  const auto directory = front.subspan(kFrameHeaderBytes, directory_bytes);
  if (crc32c(directory) != header->directory_checksum) return malformed("bad checksum");
  std::uint64_t offset = kFrameHeaderBytes + directory_bytes;
  for (std::size_t place = 0; place < header->parts; ++place) {
    const std::byte* const raw = directory.data() + place * kDirectoryEntryBytes;
    Part& part = parts_[place];
    part.offset = static_cast<std::uint32_t>(offset);
    part.length = load_little_endian<std::uint32_t>(raw);
    part.checksum = load_little_endian<std::uint32_t>(raw + 4);
    part.checked = false;
    offset += part.length;
    if (offset > header->info.bytes) return malformed("a part overruns the frame");
  }
  if (offset != header->info.bytes) return malformed("bytes that belong to no part");
  if (header->peers != 0 && (peers_ == nullptr || peers_->checksum() != header->peers)) {
    return Error{ErrorKind::kMalformed, "frame: the dictionary of addresses that it needs is not there"};
  }
  if (header->peers == 0) peers_ = nullptr;
  info_ = std::move(header->info);
  want_all();
  return {};
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
  wanted_ = 0;
  for (const std::uint32_t row : rows) wanted_ |= std::uint64_t{1} << (row / kBlockRows);
}

void FrameColumns::want_all() {
  wanted_ = low_bits(static_cast<unsigned>(blocks_of(rows())));
}

bool FrameColumns::part(std::size_t place, std::span<const std::byte>& bytes) {
  Part& part = parts_[place];
  bytes = frame_.subspan(part.offset, part.length);
  if (part.checked) return true;
  if (read_ && part.offset + part.length > kFront &&
      !read_(part.offset, std::span(buffer_).subspan(part.offset, part.length))) {
    return false;
  }
  if (crc32c(bytes) != part.checksum) return false;
  part.checked = true;
  return true;
}

Result<void> FrameColumns::verify() {
  std::span<const std::byte> bytes;
  for (std::size_t place = 0; place < parts_of(rows()); ++place) {
    if (!part(place, bytes)) return Error{ErrorKind::kMalformed, "frame: a part has a bad checksum"};
  }
  return {};
}

bool FrameColumns::load_head() {
  if (has_head_) return true;
  std::span<const std::byte> bytes;
  if (!part(kHeadPart, bytes)) return fail(What::kHead);
  ByteReader in(bytes);
  if (!read_texts(in, 2, origin_texts_) || !read_texts(in, 1, vpc_texts_)) return fail(What::kHead);
  const std::uint64_t nats = in.varint();
  if (!in.ok() || nats == 0 || nats > rows()) return fail(What::kHead);
  const auto addresses = in.take(16 * nats);
  const std::uint64_t step = in.varint();
  const std::uint64_t span = info_.last - info_.first + 1;
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
  clock_.knots.clear();
  auto knot = static_cast<std::uint64_t>(info_.min_end.time_since_epoch().count());
  for (std::uint64_t offset = 0;; offset += step) {
    clock_.knots.push_back(static_cast<std::int64_t>(knot += unzigzag(in.varint())));
    if (offset >= span) break;
  }
  if (!in.ok() || in.left() != 0) return fail(What::kHead);
  return has_head_ = true;
}

bool FrameColumns::load_blocks() {
  if (has_blocks_) return true;
  std::span<const std::byte> bytes;
  if (!load_head()) return false;
  if (!part(kHostsPart, bytes) ||
      !read_host_blocks(bytes, nats_.size(), rows(), parts_[kRunsPart].length, host_blocks_)) {
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
  if (!part(kRunsPart, bytes)) return fail(What::kHosts);
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

Result<void> FrameColumns::rows_of(const Passes& nat_ip, const Passes& pri_ip, const IpAddress& pri_from,
                                   const IpAddress& pri_to, std::vector<std::uint32_t>& rows) {
  rows.clear();
  if (this->rows() == 0) return {};  // no frame is open
  if (!load_blocks()) return error();
  std::vector<std::uint8_t> nats(nats_.size());
  for (std::size_t i = 0; i < nats.size(); ++i) nats[i] = !nat_ip || nat_ip(nats_[i]) ? 1 : 0;
  const auto take = [&](std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t row = first; row < first + count; ++row) rows.push_back(row);
  };
  std::vector<HostRun> runs;
  for (std::size_t i = 0; i < host_blocks_.size(); ++i) {
    const HostBlock& block = host_blocks_[i];
    const bool none = nats_[block.nat] == IpAddress();
    if (nats[block.nat] == 0 && !none) continue;
    if (!pri_ip || none) {
      take(block.first_row, block.rows);
      continue;
    }
    const bool followed = i + 1 < host_blocks_.size() && host_blocks_[i + 1].nat == block.nat;
    if (block.first > pri_to || (followed && host_blocks_[i + 1].first < pri_from)) continue;
    std::span<const std::byte> bytes;
    runs.clear();
    if (!part(kRunsPart, bytes) || !read_host_runs(block, bytes, runs)) {
      fail(What::kHosts);
      return error();
    }
    for (const HostRun& run : runs) {
      if (run.pri_ip >= pri_from && run.pri_ip <= pri_to && pri_ip(run.pri_ip)) take(run.first_row, run.rows);
    }
  }
  return {};
}

bool FrameColumns::load_models() {
  if (has_models_) return true;
  std::span<const std::byte> bytes;
  if (!part(kModelsPart, bytes)) return fail(What::kModels);
  ByteReader in(bytes);
  std::array<std::size_t, kContexts> counts;
  counts.fill(2);
  counts[static_cast<std::size_t>(Context::kUsual)] = kMaxServices + 1;
  for (std::size_t context = 0; context < kContexts; ++context) {
    if (!is_listed(static_cast<Context>(context))) continue;
    Listed& listed = listed_[context];
    if (listed.group_of.empty()) listed.group_of.assign(0x10000, kNotListed);
    for (const std::uint16_t key : listed.keys) listed.group_of[key] = kNotListed;
    listed.keys.clear();
    const std::uint64_t count = in.varint();
    if (!in.ok() || count >= kMaxGroupsOfModel) return fail(What::kModels);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t key = in.varint();
      if (key > 0xffff) return fail(What::kModels);
      listed.keys.push_back(static_cast<std::uint16_t>(key));
      listed.group_of[static_cast<std::size_t>(key)] = static_cast<std::uint8_t>(i);
    }
    counts[context] = static_cast<std::size_t>(count) + 1;
  }
  for (NumberDecoder& model : models_) model.clear();
  grouped_columns_.reset();
  std::size_t next = 0;
  while (in.ok() && in.left() > 0) {
    const std::uint8_t byte = in.u8();
    const std::size_t place = byte & 0x7f;
    if (place < next || place >= kPlan.size()) return fail(What::kModels);
    next = place + 1;
    const Context context = kPlan[place].context;
    grouped_columns_[place] = (byte & kGroupedModel) != 0;
    if (grouped_columns_[place] && context == Context::kNone) return fail(What::kModels);
    const std::size_t groups = grouped_columns_[place] ? counts[static_cast<std::size_t>(context)] : 1;
    if (!models_[place].load(in, groups)) return fail(What::kModels);
  }
  if (!in.ok()) return fail(What::kModels);
  return has_models_ = true;
}

// Finds where each column's bytes stand in a block.
bool FrameColumns::split(std::size_t place) {
  Block& block = blocks_[place];
  if (block.split) return true;
  std::span<const std::byte> bytes;
  if (!part(kFirstPortsPart + blocks_of(rows()) + place, bytes)) return false;
  ByteReader in(bytes);
  for (std::size_t column = 0; column < kPlan.size(); ++column) {
    if (!models_[column].present()) continue;
    block.streams[column] = NumberDecoder::take_block(in);
    if (!in.ok()) return false;
  }
  return block.split = in.left() == 0;
}

std::span<const std::uint64_t> FrameColumns::numbers(ColumnId column) const {
  const std::size_t place = plan_place(column);
  if (!models_[place].present() && !kHasOffset[at(column)]) return zeros().first(rows());
  return numbers_[place];
}

bool FrameColumns::load_column(std::size_t place) {
  if (!load_models()) return false;
  for (std::uint64_t left = wanted_ & ~done_[place]; left != 0; left &= left - 1) {
    const auto block = static_cast<std::size_t>(std::countr_zero(left));
    if (!decode(place, block)) return false;
    done_[place] |= std::uint64_t{1} << block;
  }
  return true;
}

// The group of each row of a block. Earlier columns are decoded for it.
bool FrameColumns::make_groups(Context context, std::size_t block, GroupSpan& groups) {
  using enum ColumnId;
  const auto place = static_cast<std::size_t>(context);
  const std::size_t begin = block * kBlockRows;
  const std::size_t count = std::min(rows() - begin, kBlockRows);
  std::vector<std::uint8_t>& all = groups_[place];
  if (all.size() < rows()) all.resize(rows());
  const std::span<std::uint8_t> out = std::span(all).subspan(begin, count);
  groups = out;
  const std::uint64_t bit = std::uint64_t{1} << block;
  if ((grouped_[place] & bit) != 0) return true;

  const auto ready = [&](ColumnId column) {
    const std::size_t needed = plan_place(column);
    if ((done_[needed] & bit) != 0) return true;
    if (!decode(needed, block)) return false;
    done_[needed] |= bit;
    return true;
  };
  const auto values = [&](ColumnId column) { return numbers(column).subspan(begin, count); };
  const auto symbols = [&](ColumnId column) {
    const std::size_t needed = plan_place(column);
    return models_[needed].present() ? std::span<const std::uint8_t>(symbols_[needed]).subspan(begin, count)
                                     : no_symbols().first(count);
  };
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
      if (!ready(kPubIp)) return false;
      const auto pubs = values(kPubIp);
      for (std::size_t i = 0; i < count; ++i) out[i] = pubs[i] == 0 ? 1 : 0;
      break;
    }
    case Context::kContinued: {
      if (!ready(kSessionAge)) return false;
      const auto ages = values(kSessionAge);
      for (std::size_t i = 0; i < count; ++i) out[i] = ages[i] != 0 ? 1 : 0;
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
      if (!make_groups(Context::kUsual, block, usual) || !ready(kProtocol)) return false;
      const auto protocol = symbols(kProtocol);
      listed([&](std::size_t i) { return asked_key(usual[i], protocol[i]); });
      break;
    }
    case Context::kService: {
      if (!ready(kProtocol) || !ready(kPubPort)) return false;
      const auto protocol = symbols(kProtocol);
      const auto port = symbols(kPubPort);
      listed([&](std::size_t i) { return service_key(protocol[i], port[i]); });
      break;
    }
    case Context::kKind: {
      GroupSpan service;
      if (!make_groups(Context::kService, block, service) || !ready(kOutcome) || !ready(kSessionAge))
        return false;
      const auto outcome = symbols(kOutcome);
      const auto ages = values(kSessionAge);
      listed([&](std::size_t i) { return kind_key(service[i], outcome[i], ages[i] != 0); });
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

// One column of one block.
bool FrameColumns::decode(std::size_t place, std::size_t block) {
  const ColumnId column = kPlan[place].column;
  const std::size_t begin = block * kBlockRows;
  const std::size_t count = std::min(rows() - begin, kBlockRows);
  const bool present = models_[place].present();
  if (!present && !kHasOffset[at(column)]) return true;
  if (numbers_[place].size() < rows()) numbers_[place].resize(rows());
  const std::span<std::uint64_t> values = std::span(numbers_[place]).subspan(begin, count);
  if (present) {
    if (symbols_[place].size() < rows()) symbols_[place].resize(rows());
    GroupSpan groups;
    if (grouped_columns_[place] && !make_groups(kPlan[place].context, block, groups)) return false;
    NumberSpan packets;
    if (column == ColumnId::kBytesFromVpc || column == ColumnId::kBytesFromPub) {
      const std::size_t of =
          plan_place(column == ColumnId::kBytesFromVpc ? ColumnId::kPktsFromVpc : ColumnId::kPktsFromPub);
      if ((done_[of] >> block & 1) == 0) {
        if (!decode(of, block)) return false;
        done_[of] |= std::uint64_t{1} << block;
      }
      packets = numbers(kPlan[of].column).subspan(begin, count);
    }
    if (!split(block)) return fail(What::kColumn, column);
    if (!models_[place].get_block(blocks_[block].streams[place], groups, packets, values,
                                  std::span(symbols_[place]).subspan(begin, count))) {
      return fail(What::kColumn, column);
    }
    const std::uint64_t limit =
        column == ColumnId::kPubIp ? (peers_ != nullptr ? peers_->size() : 0) : kLimits[at(column)];
    if (limit != kNoLimit && *std::max_element(values.begin(), values.end()) > limit)
      return fail(What::kColumn, column);
  } else {
    std::fill(values.begin(), values.end(), 0);
  }
  return settle(column, begin, values);
}

// Makes of the coded numbers what they stand for.
bool FrameColumns::settle(ColumnId column, std::size_t begin, std::span<std::uint64_t> values) {
  using enum ColumnId;
  const std::uint64_t bit = std::uint64_t{1} << (begin / kBlockRows);
  const auto ready = [&](ColumnId needed) {
    const std::size_t place = plan_place(needed);
    if ((done_[place] & bit) != 0) return true;
    if (!decode(place, begin / kBlockRows)) return false;
    done_[place] |= bit;
    return true;
  };
  if (kIsCount[at(column)]) {
    for (std::uint64_t& value : values) --value;  // unknown, 0, becomes kUnknownCount
    return true;
  }
  switch (column) {
    case kOrdinal: {
      if (!load_runs()) return false;
      const std::uint64_t span = info_.last - info_.first;
      Ordinal next = info_.first;
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (first_of_run_[begin + i] != 0) next = info_.first;
        if (values[i] > span || next > info_.last - values[i]) return fail(What::kColumn, column);
        values[i] += next;
        next = values[i] + 1;
      }
      return true;
    }
    case kEndTime: {
      if (!ready(kOrdinal) || !load_head()) return false;
      const auto ordinals = numbers(kOrdinal).subspan(begin, values.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<std::uint64_t>(clock_.at(ordinals[i] - info_.first)) + unzigzag(values[i]);
      }
      return true;
    }
    case kStartTime: {
      if (!ready(kEndTime) || !ready(kSessionAge)) return false;
      const auto ends = numbers(kEndTime).subspan(begin, values.size());
      const auto ages = numbers(kSessionAge).subspan(begin, values.size());
      const auto min_start = static_cast<std::uint64_t>(info_.min_start.time_since_epoch().count());
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = ages[i] != 0 ? min_start + values[i] : ends[i] - values[i];
      return true;
    }
    default:
      return true;
  }
}

bool FrameColumns::load_nat_ports() {
  nat_ports_.resize(std::max(nat_ports_.size(), rows()));
  for (std::uint64_t left = wanted_ & ~ports_done_; left != 0; left &= left - 1) {
    const auto block = static_cast<std::size_t>(std::countr_zero(left));
    const std::size_t begin = block * kBlockRows;
    const std::size_t count = std::min(rows() - begin, kBlockRows);
    std::span<const std::byte> bytes;
    if (!part(kFirstPortsPart + block, bytes) || bytes.size() != 2 * count) return fail(What::kPorts);
    for (std::size_t i = 0; i < count; ++i)
      nat_ports_[begin + i] = load_little_endian<std::uint16_t>(bytes.data() + 2 * i);
  }
  ports_done_ |= wanted_;
  return true;
}

// Narrow copies of a column, for the blocks that have none yet.
template <typename T, typename ValueOf>
bool FrameColumns::load_narrow(ColumnId column, std::uint64_t& done, std::vector<T>& out, ValueOf value_of) {
  if (!load_column(column)) return false;
  out.resize(std::max(out.size(), rows()));
  const auto values = numbers(column);
  for (std::uint64_t left = wanted_ & ~done; left != 0; left &= left - 1) {
    const std::size_t begin = static_cast<std::size_t>(std::countr_zero(left)) * kBlockRows;
    for (std::size_t row = begin; row < std::min(rows(), begin + kBlockRows); ++row) {
      out[row] = static_cast<T>(value_of(values[row], row));
    }
  }
  done |= wanted_;
  return true;
}

bool FrameColumns::load_pri_ports() {
  return load_nat_ports() && load_narrow(ColumnId::kPriPort, pri_ports_done_, pri_ports_,
                                         [&](std::uint64_t value, std::size_t row) {
                                           return value == 0 ? nat_ports_[row] : value - 1;
                                         });
}

bool FrameColumns::load_outcome() {
  const auto as_it_is = [](std::uint64_t value, std::size_t) { return value; };
  std::uint64_t done = outcome_done_;
  if (!load_narrow(ColumnId::kOutcome, done, events_,
                   [](std::uint64_t value, std::size_t) { return value & 3; }))
    return false;
  done = outcome_done_;
  if (!load_narrow(ColumnId::kOutcome, done, tcp_states_,
                   [](std::uint64_t value, std::size_t) { return value >> 2; }))
    return false;
  const std::uint64_t before = outcome_done_;
  const std::uint64_t left = wanted_ & ~before;
  if (!load_narrow(ColumnId::kReason, outcome_done_, reasons_, as_it_is)) return false;
  std::uint8_t largest = 0;
  for (std::size_t row = 0; row < rows(); ++row) {
    if (row % kBlockRows == 0 && (left >> (row / kBlockRows) & 1) == 0) {
      row += kBlockRows - 1;
      continue;
    }
    if (events_[row] == static_cast<std::uint8_t>(RecordEvent::kEnd))
      reasons_[row] ^= static_cast<std::uint8_t>(RecordReason::kDestroyed);
    largest = std::max(largest, reasons_[row]);
  }
  if (largest <= static_cast<std::uint8_t>(kLast<RecordReason>)) return true;
  outcome_done_ = before;  // who asks again is told again
  return fail(What::kColumn, ColumnId::kReason);
}

bool FrameColumns::load_pub_ip() {
  if (!load_column(ColumnId::kPubIp)) return false;
  const bool owns =
      models_[plan_place(ColumnId::kPubHigh)].present() || models_[plan_place(ColumnId::kPubLow)].present();
  if (owns && (!load_column(ColumnId::kPubHigh) || !load_column(ColumnId::kPubLow))) return false;
  const auto places = numbers(ColumnId::kPubIp);
  const auto highs = numbers(ColumnId::kPubHigh);
  const auto lows = numbers(ColumnId::kPubLow);
  const std::size_t peers = peers_ != nullptr ? peers_->size() : 0;
  if (pub_ip_done_ == 0) {
    for (const std::uint32_t place : pub_places_) pub_of_[place] = 0;
    pub_places_.clear();
    if (pub_of_.size() <= peers) pub_of_.resize(peers + 1);
  }
  const std::uint64_t left = wanted_ & ~pub_ip_done_;
  const auto all =
      (whole_ || std::popcount(left) > 2) && peers_ != nullptr ? peers_->all() : std::span<const IpAddress>();
  pub_index_.resize(std::max(pub_index_.size(), rows()));
  for (std::size_t row = 0; row < rows(); ++row) {
    if (row % kBlockRows == 0 && (left >> (row / kBlockRows) & 1) == 0) {
      row += kBlockRows - 1;
      continue;
    }
    const std::uint64_t place = places[row];
    if (place == 0) {
      pub_index_[row] = static_cast<std::uint16_t>(pubs_.size());
      pubs_.push_back(address_of({highs[row], lows[row] + kMappedLow}));
      continue;
    }
    std::uint32_t& known = pub_of_[static_cast<std::size_t>(place)];
    if (known == 0) {
      const auto at = static_cast<std::uint32_t>(place);
      pubs_.push_back(all.empty() ? peers_->at(at) : all[at - 1]);
      pub_places_.push_back(at);
      known = static_cast<std::uint32_t>(pubs_.size());
    }
    pub_index_[row] = static_cast<std::uint16_t>(known - 1);
  }
  pub_ip_done_ |= wanted_;
  return true;
}

bool FrameColumns::load_texts() {
  if (!load_head() || !load_column(ColumnId::kOrigin) || !load_column(ColumnId::kVpcId)) return false;
  const auto within = [&](ColumnId column, std::size_t count) {
    if (!models_[plan_place(column)].present()) return true;
    const auto values = numbers(column);
    for (std::size_t row = 0; row < rows(); ++row) {
      if ((wanted_ >> (row / kBlockRows) & 1) != 0 && values[row] >= count)
        return fail(What::kColumn, column);
    }
    return true;
  };
  if (!within(ColumnId::kOrigin, origin_texts_.size() / 2) || !within(ColumnId::kVpcId, vpc_texts_.size()))
    return false;
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
  if (!load_runs() || !load_pub_ip() || !load_pri_ports() || !load_outcome() || !load_texts()) return false;
  for (std::size_t place = 0; place < kPlan.size(); ++place) {
    if (!load_column(place)) return false;
    all_[at(kPlan[place].column)] = numbers(kPlan[place].column).data();
  }
  return true;
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

// All columns are loaded, by load_all().
void FrameColumns::assemble(std::size_t row, SessionRecord& record) const {
  using enum ColumnId;
  const auto number = [&](ColumnId column) { return all_[at(column)][row]; };
  record.origin = origins_[number(kOrigin)];
  record.vpc_id = vpc_ids_[number(kVpcId)];
  record.pri_ip = hosts_[host_index_[row]];
  record.pub_ip = pubs_[pub_index_[row]];
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
  std::vector<std::uint32_t> at(static_cast<std::size_t>(info_.last - info_.first + 1), kNoRow);
  for (std::uint32_t row = 0; row < rows(); ++row) {
    std::uint32_t& place = at[static_cast<std::size_t>((*all)[row] - info_.first)];
    if (place != kNoRow) {
      fail(What::kColumn, ColumnId::kOrdinal);
      return error();
    }
    place = row;
  }
  std::vector<std::uint32_t> rank(rows());
  std::uint32_t next = 0;
  for (const std::uint32_t row : at) {
    if (row != kNoRow) rank[row] = next++;
  }
  // Block by block: what belongs together is in the processor's cache together.
  const std::size_t before = out.records.size();
  out.records.resize(before + rows());
  out.ordinals.resize(before + rows());
  for (std::size_t block = 0; block < blocks_of(rows()); ++block) {
    wanted_ = std::uint64_t{1} << block;
    whole_ = true;
    const bool loaded = load_all();
    whole_ = false;
    if (!loaded) {
      out.records.resize(before);
      out.ordinals.resize(before);
      want_all();
      return error();
    }
    const auto ordinals = numbers(ColumnId::kOrdinal);
    const std::size_t end = std::min(rows(), (block + 1) * kBlockRows);
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
