#include "ledger/frame_columns.h"

#include <algorithm>

#include "ledger/crc32c.h"

namespace natsession {
namespace {

UnixMs at_ms(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}

Count count_of(std::uint64_t value) {
  return value == kUnknownCount ? Count() : Count(value);
}

ColumnId column_of(Field field) {
  return static_cast<ColumnId>(spec_of(field).column);
}

}  // namespace

Result<void> FrameColumns::open(std::span<const std::byte> bytes) {
  info_ = FrameInfo();
  entries_.fill(Entry());
  unknown_columns_.clear();
  loaded_.reset();
  grouped_.reset();
  session_starts_.clear();
  why_.clear();
  auto header = parse_frame_header(bytes);
  if (!header) return header.error();
  if (!header->info.readable) return Error{ErrorKind::kUnavailable, header->info.why};
  if (header->info.bytes != bytes.size())
    return Error{ErrorKind::kMalformed, "frame: its length is not what it says"};
  frame_ = bytes;
  if (auto read = read_directory(*header); !read) {
    entries_.fill(Entry());
    return read;
  }
  info_ = std::move(header->info);
  return {};
}

Result<void> FrameColumns::read_directory(const FrameHeader& header) {
  const auto malformed = [](const char* what) {
    return Error{ErrorKind::kMalformed, std::string("frame directory: ") + what};
  };
  const auto directory = frame_.subspan(kFrameHeaderBytes, header.columns * kDirectoryEntryBytes);
  if (crc32c(directory) != header.directory_checksum) return malformed("bad checksum");
  auto rest = frame_.subspan(kFrameHeaderBytes + directory.size());
  unsigned before = 0;
  for (std::size_t place = 0; place < header.columns; ++place) {
    const std::byte* const raw = directory.data() + place * kDirectoryEntryBytes;
    const unsigned column = load_little_endian<std::uint16_t>(raw);
    const auto length = load_little_endian<std::uint32_t>(raw + 4);
    if (column <= before) return malformed("columns do not ascend");
    if (length > rest.size()) return malformed("a column overruns the frame");
    before = column;
    Entry entry;
    entry.present = true;
    entry.coding = std::to_integer<std::uint8_t>(raw[2]);
    entry.context = std::to_integer<std::uint8_t>(raw[3]);
    entry.checksum = load_little_endian<std::uint32_t>(raw + 8);
    entry.bytes = rest.first(length);
    rest = rest.subspan(length);
    if (column < kColumnIds) {
      entries_[column] = entry;
    } else {
      unknown_columns_.push_back(entry);
    }
  }
  if (!rest.empty()) return malformed("bytes that belong to no column");
  return {};
}

Result<void> FrameColumns::verify() const {
  const auto good = [](const Entry& entry) {
    return !entry.present || crc32c(entry.bytes) == entry.checksum;
  };
  if (std::all_of(entries_.begin(), entries_.end(), good) &&
      std::all_of(unknown_columns_.begin(), unknown_columns_.end(), good))
    return {};
  return Error{ErrorKind::kMalformed, "frame: a column has a bad checksum"};
}

Error FrameColumns::error() const {
  return Error{ErrorKind::kMalformed, "frame: column " + std::to_string(at(failed_)) +
                                          (why_.empty() ? " is damaged" : " cannot be read: " + why_)};
}

bool FrameColumns::failure(ColumnId column) {
  failed_ = column;
  return false;
}

bool FrameColumns::begin(ColumnId column, ByteReader& in) {
  const Entry& entry = entries_[at(column)];
  if (crc32c(entry.bytes) != entry.checksum) return failure(column);
  in = ByteReader(entry.bytes);
  return true;
}

bool FrameColumns::read_values(ColumnId column, ByteReader& in, std::span<std::uint64_t> out) {
  const Entry& entry = entries_[at(column)];
  switch (static_cast<ColumnCoding>(entry.coding)) {
    case ColumnCoding::kNumbers: {
      const auto context = static_cast<ColumnContext>(entry.context);
      if (entry.context >= kContexts || (allowed_contexts(column) & context_bit(context)) == 0)
        return failure(column);
      if (!load_context(context)) return false;
      if (!read_grouped(context, in, out)) return failure(column);
      break;
    }
    case ColumnCoding::kByAddress: {
      if (!may_go_by_address(column, entry.context)) return failure(column);
      if (!load_addresses(entry.context == kByPriIp ? ColumnId::kPriIp : ColumnId::kPubIp)) return false;
      if (!read_keyed(entry.context, in, out)) return failure(column);
      break;
    }
    default:
      return failure(column);
  }
  return in.ok() && in.left() == 0 ? true : failure(column);
}

bool FrameColumns::read_grouped(ColumnContext context, ByteReader& in, std::span<std::uint64_t> out) {
  if (context == ColumnContext::kNone) return reader_.read(in, out);
  const std::vector<std::uint8_t>& group = groups_[static_cast<std::size_t>(context)];
  GroupEnds group_ends = ends_of(group);
  group_scratch_.resize(out.size());
  const std::span<std::uint64_t> all(group_scratch_);
  for (std::size_t g = 0; g < kMaxGroups; ++g) {
    if (!reader_.read(in, all.subspan(group_ends[g], group_ends[g + 1] - group_ends[g]))) return false;
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = all[group_ends[group[i]]++];
  return true;
}

bool FrameColumns::read_keyed(std::uint8_t key, ByteReader& in, std::span<std::uint64_t> out) {
  const Addresses& column = addresses_[at(key == kByPriIp ? ColumnId::kPriIp : ColumnId::kPubIp)];
  group_scratch_.resize(column.distinct.size());
  if (!reader_.read(in, group_scratch_)) return false;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = group_scratch_[column.index[i]];

  const std::uint64_t count = in.varint();
  if (!in.ok() || count > out.size()) return false;
  std::vector<std::uint64_t> gaps(static_cast<std::size_t>(count));
  std::vector<std::uint64_t> values(gaps.size());
  if (!reader_.read(in, gaps) || !reader_.read(in, values)) return false;
  std::size_t place = 0;
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    if (gaps[i] >= out.size() - place) return false;
    place += static_cast<std::size_t>(gaps[i]);
    out[place++] = values[i];
  }
  return true;
}

bool FrameColumns::load_context(ColumnContext context) {
  const auto place = static_cast<std::size_t>(context);
  if (context == ColumnContext::kNone || grouped_[place]) return true;
  std::vector<std::uint8_t>& group = groups_[place];
  group.resize(rows());
  switch (context) {
    case ColumnContext::kNone:
      break;
    case ColumnContext::kProtocol: {
      if (!load_small(ColumnId::kProtocol)) return false;
      const auto& protocol = small_[at(ColumnId::kProtocol)];
      for (std::size_t i = 0; i < group.size(); ++i) group[i] = protocol_group(protocol[i]);
      break;
    }
    case ColumnContext::kService: {
      if (!load_small(ColumnId::kProtocol) || !load_ports(ColumnId::kPubPort)) return false;
      const auto& protocol = small_[at(ColumnId::kProtocol)];
      const auto& port = ports_[at(ColumnId::kPubPort)];
      for (std::size_t i = 0; i < group.size(); ++i) group[i] = service_group(protocol[i], port[i]);
      break;
    }
    case ColumnContext::kKind: {
      if (!load_context(ColumnContext::kService) || !load_small(ColumnId::kOutcome) ||
          !load_plain(ColumnId::kSessionAge)) {
        return false;
      }
      const auto& service = groups_[static_cast<std::size_t>(ColumnContext::kService)];
      const auto& outcome = small_[at(ColumnId::kOutcome)];
      const auto& age = numbers_[at(ColumnId::kSessionAge)];
      std::vector<std::uint16_t> kinds(rows());
      for (std::size_t i = 0; i < kinds.size(); ++i) kinds[i] = kind_key(service[i], outcome[i], age[i] != 0);
      group_by_frequency(kinds, group);
      break;
    }
    case ColumnContext::kContinued: {
      if (!load_plain(ColumnId::kSessionAge)) return false;
      const auto& age = numbers_[at(ColumnId::kSessionAge)];
      for (std::size_t i = 0; i < group.size(); ++i) group[i] = age[i] != 0 ? 1 : 0;
      break;
    }
    case ColumnContext::kPktsFromVpc:
    case ColumnContext::kPktsFromPub: {
      const ColumnId packets =
          context == ColumnContext::kPktsFromVpc ? ColumnId::kPktsFromVpc : ColumnId::kPktsFromPub;
      if (!load_packets(packets) || !load_context(ColumnContext::kService)) return false;
      const auto& service = groups_[static_cast<std::size_t>(ColumnContext::kService)];
      for (std::size_t i = 0; i < group.size(); ++i)
        group[i] = size_group(numbers_[at(packets)][i] + 1, service[i]);
      break;
    }
  }
  grouped_.set(place);
  return true;
}

bool FrameColumns::load_numbers(ColumnId column, std::size_t count, std::vector<std::uint64_t>& out) {
  out.resize(count);
  if (!entries_[at(column)].present) {
    std::fill(out.begin(), out.end(), 0);
    return true;
  }
  ByteReader in({});
  return begin(column, in) && read_values(column, in, out);
}

Result<AddressColumn> FrameColumns::addresses(Field field) {
  const ColumnId column = column_of(field);
  if (!load_addresses(column)) return error();
  const Addresses& loaded = addresses_[at(column)];
  return AddressColumn{loaded.distinct, loaded.index};
}

Result<std::span<const std::uint16_t>> FrameColumns::ports(Field field) {
  const ColumnId column = column_of(field);
  if (!load_ports(column)) return error();
  return std::span<const std::uint16_t>(ports_[at(column)]);
}

Result<std::span<const std::int64_t>> FrameColumns::times(Field field) {
  if (field == Field::kSessionStart) {
    if (!load_session_starts()) return error();
    return std::span<const std::int64_t>(session_starts_);
  }
  if (!load_times()) return error();
  return std::span<const std::int64_t>(field == Field::kStartTime ? starts_ : ends_);
}

Result<std::span<const std::uint64_t>> FrameColumns::counters(Field field) {
  const ColumnId column = column_of(field);
  const bool bytes = field == Field::kBytesFromVpc || field == Field::kBytesFromPub;
  const bool loaded = field == Field::kSeq ? load_plain(column)
                      : bytes              ? load_bytes(column)
                                           : load_packets(column);
  if (!loaded) return error();
  return std::span<const std::uint64_t>(numbers_[at(column)]);
}

Result<std::span<const std::uint8_t>> FrameColumns::small(Field field) {
  if (field == Field::kProtocol) {
    if (!load_small(ColumnId::kProtocol)) return error();
    return std::span<const std::uint8_t>(small_[at(ColumnId::kProtocol)]);
  }
  if (!load_outcome()) return error();
  if (field == Field::kEvent) return std::span<const std::uint8_t>(events_);
  return std::span<const std::uint8_t>(field == Field::kReason ? reasons_ : tcp_states_);
}

Result<std::span<const Ordinal>> FrameColumns::ordinals() {
  if (!load_ordinals()) return error();
  return std::span<const Ordinal>(ordinals_);
}

// All columns are loaded.
void FrameColumns::assemble(std::size_t row, SessionRecord& record) const {
  using enum ColumnId;
  const auto number = [&](ColumnId column) { return numbers_[at(column)][row]; };
  const auto address = [&](ColumnId column) {
    const Addresses& all = addresses_[at(column)];
    return all.distinct[all.index[row]];
  };
  record.origin = origins_[number(kOrigin)];
  record.vpc_id = vpc_ids_[number(kVpcId)];
  record.pri_ip = address(kPriIp);
  record.pub_ip = address(kPubIp);
  record.nat_ip = address(kNatIp);
  record.pri_port = ports_[at(kPriPort)][row];
  record.pub_port = ports_[at(kPubPort)][row];
  record.nat_port = ports_[at(kNatPort)][row];
  record.bytes_from_pub = count_of(number(kBytesFromPub));
  record.pkts_from_pub = count_of(number(kPktsFromPub));
  record.bytes_from_vpc = count_of(number(kBytesFromVpc));
  record.pkts_from_vpc = count_of(number(kPktsFromVpc));
  record.start_time = at_ms(starts_[row]);
  record.end_time = at_ms(ends_[row]);
  if (number(kNoSessionStart) == 0) {
    const std::uint64_t start = static_cast<std::uint64_t>(starts_[row]) - number(kSessionAge);
    record.session_start = at_ms(static_cast<std::int64_t>(start));
  }
  record.seq = static_cast<std::uint32_t>(number(kSeq));
  record.protocol = small_[at(kProtocol)][row];
  record.event = static_cast<RecordEvent>(events_[row]);
  record.reason = static_cast<RecordReason>(reasons_[row]);
  record.tcp_state = static_cast<TcpState>(tcp_states_[row]);
  visit_plain([&]<Field kField>() { set_plain<kField>(number(kColumn<kField>), record); });
  if (!orig_dst_place_.empty() && small_[at(kHasOrigDst)][row] != 0) {
    const std::uint32_t place = orig_dst_place_[row];
    const Addresses& all = addresses_[at(kOrigDstIp)];
    record.has_orig_dst = true;
    record.orig_dst_ip = all.distinct[all.index[place]];
    record.orig_dst_port = ports_[at(kOrigDstPort)][place];
  }
  record.session_id = record.event == RecordEvent::kGap ? 0 : derive_session_id(record);
}

template <typename RowOf>
Result<void> FrameColumns::materialise(std::size_t count, RowOf row_of, RecordBlock& out) {
  if (!load_all()) return error();
  if (count == 0) return {};
  const std::size_t before = out.records.size();
  out.records.resize(before + count);
  out.ordinals.resize(before + count);
  for (std::size_t i = 0; i < count; ++i) {
    assemble(row_of(i), out.records[before + i]);
    out.ordinals[before + i] = ordinals_[row_of(i)];
  }
  return {};
}

Result<void> FrameColumns::materialise(std::span<const std::uint32_t> rows, RecordBlock& out) {
  return materialise(
      rows.size(), [rows](std::size_t i) { return std::size_t{rows[i]}; }, out);
}

Result<void> FrameColumns::materialise_all(RecordBlock& out) {
  return materialise(
      rows(), [](std::size_t i) { return i; }, out);
}

Result<void> FrameDecoder::decode(std::span<const std::byte> frame, RecordBlock& out) {
  if (auto opened = columns_.open(frame); !opened) return opened;
  if (auto verified = columns_.verify(); !verified) return verified;
  return columns_.materialise_all(out);
}

}  // namespace natsession
