#include "ledger/frame_encoder.h"

#include <algorithm>
#include <numeric>

#include "ledger/crc32c.h"
#include "ledger/number_coding.h"

namespace natsession {
namespace {

bool all_zero(Numbers numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](std::uint64_t number) { return number == 0; });
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

void FrameEncoder::put_numbers(ColumnId column, Numbers numbers, const Choice& choice,
                               const std::string& before) {
  if (before.empty() && all_zero(numbers)) return;
  const ColumnWriter::Written written = writer_.write(column, numbers, choice, before);
  entries_.push_back({column, written.coding, written.context,
                      static_cast<std::uint32_t>(written.bytes.size()),
                      crc32c(std::as_bytes(std::span(written.bytes)))});
  body_ += written.bytes;
}

void FrameEncoder::put_addresses(ColumnId column, AddressIndexer& indexer, const AddressIndexer* key) {
  const auto distinct = indexer.distinct();
  if (distinct.empty() || (distinct.size() == 1 && distinct[0] == IpAddress())) return;
  std::string head;
  indexer.append_distinct(writer_.numbers(), head);
  indexer.coded_indexes(scratch_);
  put_numbers(column, scratch_,
              {.shape = NumberShape::kFlat, .contexts = {}, .fast = {}, .key = key, .key_name = kByPriIp},
              head);
}

void FrameEncoder::put_texts() {
  std::string head;
  const auto& origins = columns_.origin_texts;
  if (!std::all_of(origins.begin(), origins.end(), [](std::string_view text) { return text.empty(); })) {
    append_texts(origins, writer_.numbers(), head);
    put_numbers(ColumnId::kOrigin, columns_[ColumnId::kOrigin], {.shape = NumberShape::kSparse}, head);
  }
  const auto& vpcs = columns_.vpc_ids.texts();
  if (vpcs.size() > 1 || !vpcs[0].empty()) {
    head.clear();
    append_texts(vpcs, writer_.numbers(), head);
    Choice choice{.shape = NumberShape::kSparse};
    choice.key = vpcs.size() > 1 ? &columns_.pri_ip : nullptr;
    choice.key_name = kByPriIp;
    put_numbers(ColumnId::kVpcId, columns_[ColumnId::kVpcId], choice, head);
  }
}

// Bytes are packets times a size: the size is what the packets do not tell yet, and what is left over is less
// than the packets.
void FrameEncoder::put_quotients(ColumnId column, Numbers bytes, Numbers packets,
                                 std::span<const ColumnContext> contexts) {
  std::vector<std::uint64_t>& quotients = scratch_;
  quotients.resize(bytes.size());
  remainders_.resize(bytes.size());
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
    remainders_[i] = divided.remainder;
  }
  if (bits == 0 && all_zero(quotients)) return;
  packed_remainders_.clear();
  {
    BitWriter to(bits, packed_remainders_);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (has_remainder(bytes[i], packets[i])) put_remainder(remainders_[i], packets[i] - 1, to);
    }
  }
  std::string head;
  append_varint(packed_remainders_.size(), head);
  if (bits != 0) writer_.numbers().append_block(bytes_of(packed_remainders_), head);
  put_numbers(column, quotients, {.shape = NumberShape::kTailed, .contexts = contexts}, head);
}

void FrameEncoder::make_contexts() {
  const std::size_t count = columns_.info.records;
  auto groups = writer_.take_groups();
  const auto& protocol = columns_[ColumnId::kProtocol];
  const auto& pub_port = columns_[ColumnId::kPubPort];
  const auto& outcome = columns_[ColumnId::kOutcome];
  const auto& age = columns_[ColumnId::kSessionAge];
  const auto& pkts_from_vpc = columns_[ColumnId::kPktsFromVpc];
  const auto& pkts_from_pub = columns_[ColumnId::kPktsFromPub];
  const auto group_of = [&groups](ColumnContext context) -> std::vector<std::uint8_t>& {
    return groups[static_cast<std::size_t>(context)];
  };
  auto& continued = group_of(ColumnContext::kContinued);
  continued.resize(count);
  for (std::size_t i = 0; i < count; ++i) continued[i] = age[i] != 0 ? 1 : 0;
  if (effort_ == Effort::kFast) return writer_.begin_frame(std::move(groups));

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
  writer_.begin_frame(std::move(groups));
}

void FrameEncoder::put_columns() {
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
    put_numbers(column, columns_[column], choice);
  };

  // In the order of their names.
  make_contexts();
  numbers(kOrdinal, {});
  // The indexes of addresses change as they are arranged: first of all, as others go by them.
  for (AddressIndexer* indexer :
       {&columns_.pri_ip, &columns_.pub_ip, &columns_.nat_ip, &columns_.orig_dst_ip}) {
    indexer->arrange(effort_ == Effort::kSmall);
  }
  put_texts();
  put_addresses(kPriIp, columns_.pri_ip, nullptr);
  put_addresses(kPubIp, columns_.pub_ip, nullptr);
  put_addresses(kNatIp, columns_.nat_ip, &columns_.pri_ip);
  numbers(kPriPort, {.shape = NumberShape::kFlat, .contexts = kByProtocol});
  numbers(kPubPort, {.shape = NumberShape::kSparse, .contexts = kByProtocol, .key = &columns_.pub_ip});
  numbers(kNatPort, {.shape = NumberShape::kSparse, .contexts = kByProtocol});
  numbers(kProtocol, {.shape = NumberShape::kTailed, .key = &columns_.pub_ip});
  numbers(kOutcome, {.shape = NumberShape::kTailed, .contexts = kOfOutcome});
  numbers(kReason, {.shape = NumberShape::kSparse});
  numbers(kEndTime, {});
  numbers(kStartTime, {.contexts = kOfStart, .fast = Context::kContinued});
  numbers(kSessionAge, {.shape = NumberShape::kSparse, .contexts = kByProtocol});
  numbers(kNoSessionStart, {.shape = NumberShape::kSparse});
  numbers(kSeq, {.shape = NumberShape::kSparse, .contexts = kOfSeq});
  numbers(kPktsFromVpc, {.contexts = kOfPkts});
  numbers(kPktsFromPub, {.contexts = kOfReplies});
  put_quotients(kBytesFromVpc, columns_[kBytesFromVpc], columns_[kPktsFromVpc], kOfBytes);
  put_quotients(kBytesFromPub, columns_[kBytesFromPub], columns_[kPktsFromPub], kOfReplyBytes);
  numbers(kHasOrigDst, {.shape = NumberShape::kSparse});
  put_addresses(kOrigDstIp, columns_.orig_dst_ip, nullptr);
  numbers(kOrigDstPort, {.shape = NumberShape::kFlat});
  for (const std::uint16_t column : kPlainColumns) {
    numbers(static_cast<ColumnId>(column), {.shape = NumberShape::kSparse});
  }
}

FrameInfo FrameEncoder::encode(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                               bool long_sessions, std::string& out) {
  columns_.load(records, ordinals);
  entries_.clear();
  body_.clear();
  put_columns();

  std::string directory;
  for (const Entry& entry : entries_) {
    append_little_endian(static_cast<std::uint16_t>(entry.column), directory);
    directory.push_back(static_cast<char>(entry.coding));
    directory.push_back(static_cast<char>(entry.context));
    append_little_endian(entry.length, directory);
    append_little_endian(entry.checksum, directory);
  }
  FrameHeader header;
  header.info = columns_.info;
  header.info.long_sessions = long_sessions;
  header.info.bytes = static_cast<std::uint32_t>(kFrameHeaderBytes + directory.size() + body_.size());
  header.columns = entries_.size();
  header.directory_checksum = crc32c(std::as_bytes(std::span(directory)));
  const std::size_t at = out.size();
  out.resize(at + kFrameHeaderBytes);
  store_frame_header(header, out.data() + at);
  out += directory;
  out += body_;
  return header.info;
}

void GroupEncoder::encode(std::span<const SessionRecord> records, Ordinal first,
                          std::chrono::milliseconds window, std::string& out) {
  const auto is_long = [&](const SessionRecord& record) {
    return record.start_time < record.end_time - window;  // kUnknownStart is far from any time
  };
  for (auto& ordinals : ordinals_) ordinals.clear();
  const bool first_is_long = is_long(records.front());
  if (std::all_of(records.begin(), records.end(),
                  [&](const SessionRecord& record) { return is_long(record) == first_is_long; })) {
    ordinals_[0].resize(records.size());
    std::iota(ordinals_[0].begin(), ordinals_[0].end(), first);
    encoder_.encode(records, ordinals_[0], first_is_long, out);
    return;
  }
  for (auto& apart : apart_) apart.clear();
  for (std::size_t index = 0; index < records.size(); ++index) {
    const std::size_t which = is_long(records[index]) ? 1 : 0;
    apart_[which].push_back(records[index]);
    ordinals_[which].push_back(first + index);
  }
  for (const bool which : {first_is_long, !first_is_long}) {
    const std::size_t index = which ? 1 : 0;
    encoder_.encode(apart_[index], ordinals_[index], which, out);
  }
}

}  // namespace natsession
