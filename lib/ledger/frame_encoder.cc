#include <algorithm>
#include <vector>

#include "ledger/byte_quotients.h"
#include "ledger/column_context.h"
#include "ledger/column_writer.h"
#include "ledger/crc32c.h"
#include "ledger/frame_layout.h"
#include "ledger/record_columns.h"
#include "ledger/text_dictionary.h"

namespace natsession {
namespace {

struct Entry {
  ColumnId column;
  ColumnCoding coding;
  std::uint8_t context;
  std::uint32_t length;
  std::uint32_t checksum;
};

bool all_zero(Numbers numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](std::uint64_t number) { return number == 0; });
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

struct FrameEncoder::State {
  using Choice = ColumnWriter::Choice;

  explicit State(Effort wanted) : effort(wanted), writer(wanted) {}

  FrameInfo encode(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                   bool long_sessions, std::string& out);
  void make_contexts();
  void put_columns();
  void put_texts();
  void put_addresses(ColumnId column, AddressIndexer& indexer, const AddressIndexer* key);
  void put_numbers(ColumnId column, Numbers numbers, const Choice& choice, const std::string& before = {});
  void put_quotients(ColumnId column, Numbers bytes, Numbers packets,
                     std::span<const ColumnContext> contexts);

  Effort effort;
  ColumnWriter writer;
  RecordColumns columns;
  std::vector<Entry> entries;
  std::string body;

  std::vector<std::uint64_t> scratch;
  std::vector<std::uint64_t> remainders;
  std::string packed_remainders;
};

void FrameEncoder::State::put_numbers(ColumnId column, Numbers numbers, const Choice& choice,
                                      const std::string& before) {
  if (before.empty() && all_zero(numbers)) return;
  const ColumnWriter::Written written = writer.write(column, numbers, choice, before);
  entries.push_back({column, written.coding, written.context,
                     static_cast<std::uint32_t>(written.bytes.size()),
                     crc32c(std::as_bytes(std::span(written.bytes)))});
  body += written.bytes;
}

void FrameEncoder::State::put_addresses(ColumnId column, AddressIndexer& indexer, const AddressIndexer* key) {
  const auto distinct = indexer.distinct();
  if (distinct.empty() || (distinct.size() == 1 && distinct[0] == IpAddress())) return;
  std::string head;
  indexer.append_distinct(writer.numbers(), head);
  indexer.coded_indexes(scratch);
  put_numbers(column, scratch,
              {.shape = NumberShape::kFlat, .contexts = {}, .fast = {}, .key = key, .key_name = kByPriIp},
              head);
}

void FrameEncoder::State::put_texts() {
  std::string head;
  const auto& origins = columns.origin_texts;
  if (!std::all_of(origins.begin(), origins.end(), [](std::string_view text) { return text.empty(); })) {
    append_texts(origins, writer.numbers(), head);
    put_numbers(ColumnId::kOrigin, columns[ColumnId::kOrigin], {.shape = NumberShape::kSparse}, head);
  }
  const auto& vpcs = columns.vpc_ids.texts();
  if (vpcs.size() > 1 || !vpcs[0].empty()) {
    head.clear();
    append_texts(vpcs, writer.numbers(), head);
    Choice choice{.shape = NumberShape::kSparse};
    choice.key = vpcs.size() > 1 ? &columns.pri_ip : nullptr;
    choice.key_name = kByPriIp;
    put_numbers(ColumnId::kVpcId, columns[ColumnId::kVpcId], choice, head);
  }
}

// Bytes are packets times a size: the size is what the packets do not tell yet, and what is left over is less
// than the packets.
void FrameEncoder::State::put_quotients(ColumnId column, Numbers bytes, Numbers packets,
                                        std::span<const ColumnContext> contexts) {
  std::vector<std::uint64_t>& quotients = scratch;
  quotients.resize(bytes.size());
  remainders.resize(bytes.size());
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (!has_remainder(bytes[i], packets[i])) {
      quotients[i] = bytes[i];
      continue;
    }
    const std::uint64_t count = packets[i] - 1;
    const Division divided = divide(bytes[i] - 1, count);
    bits += remainder_bits(divided.remainder, count);
    quotients[i] = divided.quotient + 1;
    remainders[i] = divided.remainder;
  }
  if (bits == 0 && all_zero(quotients)) return;
  packed_remainders.clear();
  {
    BitWriter to(bits, packed_remainders);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (has_remainder(bytes[i], packets[i])) put_remainder(remainders[i], packets[i] - 1, to);
    }
  }
  std::string head;
  append_varint(packed_remainders.size(), head);
  if (bits != 0) writer.numbers().append_block(bytes_of(packed_remainders), head);
  put_numbers(column, quotients, {.shape = NumberShape::kTailed, .contexts = contexts}, head);
}

void FrameEncoder::State::make_contexts() {
  const std::size_t count = columns.info.records;
  auto groups = writer.take_groups();
  const auto& protocol = columns[ColumnId::kProtocol];
  const auto& pub_port = columns[ColumnId::kPubPort];
  const auto& outcome = columns[ColumnId::kOutcome];
  const auto& age = columns[ColumnId::kSessionAge];
  const auto& pkts_from_vpc = columns[ColumnId::kPktsFromVpc];
  const auto& pkts_from_pub = columns[ColumnId::kPktsFromPub];
  const auto group_of = [&groups](ColumnContext context) -> std::vector<std::uint8_t>& {
    return groups[static_cast<std::size_t>(context)];
  };
  auto& continued = group_of(ColumnContext::kContinued);
  continued.resize(count);
  for (std::size_t i = 0; i < count; ++i) continued[i] = age[i] != 0 ? 1 : 0;
  if (effort == Effort::kFast) return writer.begin_frame(std::move(groups));

  for (auto& group : groups) group.resize(count);
  auto& service = group_of(ColumnContext::kService);
  std::vector<std::uint16_t> kinds(count);
  for (std::size_t i = 0; i < count; ++i) {
    service[i] = service_group(protocol[i], pub_port[i]);
    group_of(ColumnContext::kProtocol)[i] = protocol_group(protocol[i]);
    group_of(ColumnContext::kPktsFromVpc)[i] = size_group(pkts_from_vpc[i], service[i]);
    group_of(ColumnContext::kPktsFromPub)[i] = size_group(pkts_from_pub[i], service[i]);
    kinds[i] = kind_key(service[i], outcome[i], age[i] != 0);
  }
  group_by_frequency(kinds, group_of(ColumnContext::kKind));
  writer.begin_frame(std::move(groups));
}

void FrameEncoder::State::put_columns() {
  using enum ColumnId;
  using Context = ColumnContext;
  static constexpr Context kByProtocol[] = {Context::kProtocol, Context::kNone};
  static constexpr Context kOfOutcome[] = {Context::kProtocol, Context::kService};
  static constexpr Context kOfStart[] = {Context::kKind, Context::kContinued, Context::kService};
  static constexpr Context kOfSeq[] = {Context::kContinued, Context::kKind};
  static constexpr Context kOfPkts[] = {Context::kService, Context::kKind};
  static constexpr Context kOfReplies[] = {Context::kPktsFromVpc, Context::kService, Context::kKind};
  static constexpr Context kOfBytes[] = {Context::kPktsFromVpc, Context::kService, Context::kKind};
  static constexpr Context kOfReplyBytes[] = {Context::kPktsFromPub, Context::kPktsFromVpc, Context::kService,
                                              Context::kKind};
  const auto numbers = [this](ColumnId column, const Choice& choice) {
    put_numbers(column, columns[column], choice);
  };

  // In the order of their names.
  make_contexts();
  numbers(kOrdinal, {});
  // The indexes of addresses change as they are arranged: first of all, as others go by them.
  for (AddressIndexer* indexer : {&columns.pri_ip, &columns.pub_ip, &columns.nat_ip, &columns.orig_dst_ip}) {
    indexer->arrange(effort == Effort::kSmall);
  }
  put_texts();
  put_addresses(kPriIp, columns.pri_ip, nullptr);
  put_addresses(kPubIp, columns.pub_ip, nullptr);
  put_addresses(kNatIp, columns.nat_ip, &columns.pri_ip);
  numbers(kPriPort, {.shape = NumberShape::kFlat, .contexts = kByProtocol});
  numbers(kPubPort, {.shape = NumberShape::kSparse, .contexts = kByProtocol, .key = &columns.pub_ip});
  numbers(kNatPort, {.shape = NumberShape::kSparse, .contexts = kByProtocol});
  numbers(kProtocol, {.shape = NumberShape::kTailed, .key = &columns.pub_ip});
  numbers(kOutcome, {.shape = NumberShape::kTailed, .contexts = kOfOutcome});
  numbers(kReason, {.shape = NumberShape::kSparse});
  numbers(kEndTime, {});
  numbers(kStartTime, {.contexts = kOfStart, .fast = Context::kContinued});
  numbers(kSessionAge, {.shape = NumberShape::kSparse, .contexts = kByProtocol});
  numbers(kNoSessionStart, {.shape = NumberShape::kSparse});
  numbers(kSeq, {.shape = NumberShape::kSparse, .contexts = kOfSeq});
  numbers(kPktsFromVpc, {.contexts = kOfPkts});
  numbers(kPktsFromPub, {.contexts = kOfReplies});
  put_quotients(kBytesFromVpc, columns[kBytesFromVpc], columns[kPktsFromVpc], kOfBytes);
  put_quotients(kBytesFromPub, columns[kBytesFromPub], columns[kPktsFromPub], kOfReplyBytes);
  numbers(kHasOrigDst, {.shape = NumberShape::kSparse});
  put_addresses(kOrigDstIp, columns.orig_dst_ip, nullptr);
  numbers(kOrigDstPort, {.shape = NumberShape::kFlat});
  for (const std::uint16_t column : kPlainColumns) {
    numbers(static_cast<ColumnId>(column), {.shape = NumberShape::kSparse});
  }
}

FrameInfo FrameEncoder::State::encode(std::span<const SessionRecord> records,
                                      std::span<const Ordinal> ordinals, bool long_sessions,
                                      std::string& out) {
  columns.load(records, ordinals);
  entries.clear();
  body.clear();
  put_columns();

  std::string directory;
  for (const Entry& entry : entries) {
    append_little_endian(static_cast<std::uint16_t>(entry.column), directory);
    directory.push_back(static_cast<char>(entry.coding));
    directory.push_back(static_cast<char>(entry.context));
    append_little_endian(entry.length, directory);
    append_little_endian(entry.checksum, directory);
  }
  FrameHeader header;
  header.info = columns.info;
  header.info.long_sessions = long_sessions;
  header.info.bytes = static_cast<std::uint32_t>(kFrameHeaderBytes + directory.size() + body.size());
  header.columns = entries.size();
  header.directory_checksum = crc32c(std::as_bytes(std::span(directory)));
  const std::size_t at = out.size();
  out.resize(at + kFrameHeaderBytes);
  store_frame_header(header, out.data() + at);
  out += directory;
  out += body;
  return header.info;
}

FrameEncoder::FrameEncoder(Effort effort) : state_(std::make_unique<State>(effort)) {}
FrameEncoder::FrameEncoder(FrameEncoder&&) noexcept = default;
FrameEncoder& FrameEncoder::operator=(FrameEncoder&&) noexcept = default;
FrameEncoder::~FrameEncoder() = default;

FrameInfo FrameEncoder::encode(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                               bool long_sessions, std::string& out) {
  return state_->encode(records, ordinals, long_sessions, out);
}

}  // namespace natsession
