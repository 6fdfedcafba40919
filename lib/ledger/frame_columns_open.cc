// Opening a frame, and reading the values of one column, whatever it is of.
#include <algorithm>

#include "ledger/column_context.h"
#include "ledger/crc32c.h"
#include "ledger/frame_columns_state.h"

namespace natsession {

Result<void> FrameColumns::State::open(std::span<const std::byte> bytes) {
  info = FrameInfo();
  entries.fill(Entry());
  unknown_columns.clear();
  loaded.reset();
  grouped.reset();
  session_starts.clear();
  why.clear();
  auto header = parse_frame_header(bytes);
  if (!header) return header.error();
  if (!header->info.readable) return Error{ErrorKind::kUnavailable, header->info.why};
  if (header->info.bytes != bytes.size())
    return Error{ErrorKind::kMalformed, "frame: its length is not what it says"};
  frame = bytes;
  if (auto read = read_directory(*header); !read) {
    entries.fill(Entry());
    return read;
  }
  info = std::move(header->info);
  return {};
}

Result<void> FrameColumns::State::read_directory(const FrameHeader& header) {
  const auto malformed = [](const char* what) {
    return Error{ErrorKind::kMalformed, std::string("frame directory: ") + what};
  };
  const auto directory = frame.subspan(kFrameHeaderBytes, header.columns * kDirectoryEntryBytes);
  if (crc32c(directory) != header.directory_checksum) return malformed("bad checksum");
  auto rest = frame.subspan(kFrameHeaderBytes + directory.size());
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
      entries[column] = entry;
    } else {
      unknown_columns.push_back(entry);
    }
  }
  if (!rest.empty()) return malformed("bytes that belong to no column");
  return {};
}

Result<void> FrameColumns::State::verify() const {
  const auto good = [](const Entry& entry) {
    return !entry.present || crc32c(entry.bytes) == entry.checksum;
  };
  if (std::all_of(entries.begin(), entries.end(), good) &&
      std::all_of(unknown_columns.begin(), unknown_columns.end(), good))
    return {};
  return Error{ErrorKind::kMalformed, "frame: a column has a bad checksum"};
}

Error FrameColumns::State::error() const {
  return Error{ErrorKind::kMalformed, "frame: column " + std::to_string(at(failed)) +
                                          (why.empty() ? " is damaged" : " cannot be read: " + why)};
}

bool FrameColumns::State::failure(ColumnId column) {
  failed = column;
  return false;
}

bool FrameColumns::State::begin(ColumnId column, ByteReader& in) {
  const Entry& entry = entries[at(column)];
  if (crc32c(entry.bytes) != entry.checksum) return failure(column);
  in = ByteReader(entry.bytes);
  return true;
}

bool FrameColumns::State::read_values(ColumnId column, ByteReader& in, std::span<std::uint64_t> out) {
  const Entry& entry = entries[at(column)];
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

bool FrameColumns::State::read_grouped(ColumnContext context, ByteReader& in, std::span<std::uint64_t> out) {
  if (context == ColumnContext::kNone) return reader.read(in, out);
  const std::vector<std::uint8_t>& group = groups[static_cast<std::size_t>(context)];
  GroupEnds group_ends = ends_of(group);
  group_scratch.resize(out.size());
  const std::span<std::uint64_t> all(group_scratch);
  for (std::size_t g = 0; g < kMaxGroups; ++g) {
    if (!reader.read(in, all.subspan(group_ends[g], group_ends[g + 1] - group_ends[g]))) return false;
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = all[group_ends[group[i]]++];
  return true;
}

bool FrameColumns::State::read_keyed(std::uint8_t key, ByteReader& in, std::span<std::uint64_t> out) {
  const Addresses& column = addresses[at(key == kByPriIp ? ColumnId::kPriIp : ColumnId::kPubIp)];
  group_scratch.resize(column.distinct.size());
  if (!reader.read(in, group_scratch)) return false;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = group_scratch[column.index[i]];

  const std::uint64_t count = in.varint();
  if (!in.ok() || count > out.size()) return false;
  std::vector<std::uint64_t> gaps(static_cast<std::size_t>(count));
  std::vector<std::uint64_t> values(gaps.size());
  if (!reader.read(in, gaps) || !reader.read(in, values)) return false;
  std::size_t place = 0;
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    if (gaps[i] >= out.size() - place) return false;
    place += static_cast<std::size_t>(gaps[i]);
    out[place++] = values[i];
  }
  return true;
}

bool FrameColumns::State::load_context(ColumnContext context) {
  const auto place = static_cast<std::size_t>(context);
  if (context == ColumnContext::kNone || grouped[place]) return true;
  std::vector<std::uint8_t>& group = groups[place];
  group.resize(rows());
  switch (context) {
    case ColumnContext::kNone:
      break;
    case ColumnContext::kProtocol: {
      if (!load_small(ColumnId::kProtocol)) return false;
      const auto& protocol = small[at(ColumnId::kProtocol)];
      for (std::size_t i = 0; i < group.size(); ++i) group[i] = protocol_group(protocol[i]);
      break;
    }
    case ColumnContext::kService: {
      if (!load_small(ColumnId::kProtocol) || !load_ports(ColumnId::kPubPort)) return false;
      const auto& protocol = small[at(ColumnId::kProtocol)];
      const auto& port = ports[at(ColumnId::kPubPort)];
      for (std::size_t i = 0; i < group.size(); ++i) group[i] = service_group(protocol[i], port[i]);
      break;
    }
    case ColumnContext::kKind: {
      if (!load_context(ColumnContext::kService) || !load_small(ColumnId::kOutcome) ||
          !load_plain(ColumnId::kSessionAge)) {
        return false;
      }
      const auto& service = groups[static_cast<std::size_t>(ColumnContext::kService)];
      const auto& outcome = small[at(ColumnId::kOutcome)];
      const auto& age = numbers[at(ColumnId::kSessionAge)];
      std::vector<std::uint16_t> kinds(rows());
      for (std::size_t i = 0; i < kinds.size(); ++i) kinds[i] = kind_key(service[i], outcome[i], age[i] != 0);
      group_by_frequency(kinds, group);
      break;
    }
    case ColumnContext::kContinued: {
      if (!load_plain(ColumnId::kSessionAge)) return false;
      const auto& age = numbers[at(ColumnId::kSessionAge)];
      for (std::size_t i = 0; i < group.size(); ++i) group[i] = age[i] != 0 ? 1 : 0;
      break;
    }
    case ColumnContext::kPktsFromVpc:
    case ColumnContext::kPktsFromPub: {
      const ColumnId packets =
          context == ColumnContext::kPktsFromVpc ? ColumnId::kPktsFromVpc : ColumnId::kPktsFromPub;
      if (!load_packets(packets) || !load_context(ColumnContext::kService)) return false;
      const auto& service = groups[static_cast<std::size_t>(ColumnContext::kService)];
      for (std::size_t i = 0; i < group.size(); ++i)
        group[i] = size_group(numbers[at(packets)][i] + 1, service[i]);
      break;
    }
  }
  grouped.set(place);
  return true;
}

bool FrameColumns::State::load_numbers(ColumnId column, std::size_t count, std::vector<std::uint64_t>& out) {
  out.resize(count);
  if (!entries[at(column)].present) {
    std::fill(out.begin(), out.end(), 0);
    return true;
  }
  ByteReader in({});
  return begin(column, in) && read_values(column, in, out);
}

}  // namespace natsession
