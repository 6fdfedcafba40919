// What each column of a frame means.
#include <algorithm>
#include <limits>

#include "ledger/byte_quotients.h"
#include "ledger/column_addresses.h"
#include "ledger/frame_columns_state.h"
#include "ledger/text_dictionary.h"
#include "record/labels.h"

namespace natsession {
namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

std::uint64_t limit_of(ColumnId column) {
  if (column == ColumnId::kNoSessionStart) return 1;
  if (column == ColumnId::kSeq) return kSpec<Field::kSeq>.limit;
  std::uint64_t limit = kNoLimit;
  visit_plain([&]<Field kField>() {
    const bool count = std::is_same_v<FieldType<kField>, Count>;
    if (column == kColumn<kField> && !count) limit = kSpec<kField>.limit;
  });
  return limit;
}

}  // namespace

template <typename T>
bool FrameColumns::State::load_narrow(ColumnId column, std::size_t count, std::uint64_t limit,
                                      std::vector<T>& out) {
  if (!load_numbers(column, count, scratch)) return false;
  out.resize(count);
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, scratch[i]);
    out[i] = static_cast<T>(scratch[i]);
  }
  return largest <= limit ? true : failure(column);
}

bool FrameColumns::State::load_address_column(ColumnId column, std::size_t count) {
  Addresses& out = addresses[at(column)];
  if (!entries[at(column)].present) {
    out.distinct.assign(1, IpAddress());
    out.index.assign(count, 0);
    return true;
  }
  ByteReader in({});
  if (!begin(column, in)) return false;
  std::size_t several = 0;
  if (!read_distinct(in, reader, count, out.distinct, several)) return failure(column);
  std::vector<std::uint64_t> indexes(count);
  if (!read_values(column, in, indexes)) return false;
  out.index.resize(count);
  std::size_t next_once = several;
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, indexes[i]);
    out.index[i] = static_cast<std::uint16_t>(indexes[i] == 0 ? next_once++ : indexes[i] - 1);
  }
  return largest <= several && next_once == out.distinct.size() ? true : failure(column);
}

bool FrameColumns::State::load_addresses(ColumnId column) {
  if (has(column)) return true;
  if (!load_address_column(column, rows())) return false;
  set(column);
  return true;
}

bool FrameColumns::State::load_ports(ColumnId column) {
  if (has(column)) return true;
  if (!load_narrow(column, rows(), 0xffff, ports[at(column)])) return false;
  if (column == ColumnId::kNatPort) {
    if (!load_ports(ColumnId::kPriPort)) return false;
    const auto& pri = ports[at(ColumnId::kPriPort)];
    auto& nat = ports[at(ColumnId::kNatPort)];
    for (std::size_t i = 0; i < nat.size(); ++i) nat[i] = static_cast<std::uint16_t>(nat[i] + pri[i]);
  }
  set(column);
  return true;
}

bool FrameColumns::State::load_small(ColumnId column) {
  if (has(column)) return true;
  if (!load_narrow(column, rows(), 0xff, small[at(column)])) return false;
  set(column);
  return true;
}

bool FrameColumns::State::load_plain(ColumnId column) {
  if (has(column)) return true;
  std::vector<std::uint64_t>& out = numbers[at(column)];
  if (!load_numbers(column, rows(), out)) return false;
  if (const std::uint64_t limit = limit_of(column); limit != kNoLimit && !out.empty()) {
    if (*std::max_element(out.begin(), out.end()) > limit) return failure(column);
  }
  set(column);
  return true;
}

bool FrameColumns::State::load_packets(ColumnId column) {
  if (has(column)) return true;
  if (!load_plain(column)) return false;
  for (std::uint64_t& count : numbers[at(column)]) --count;  // unknown, 0, becomes kUnknownCount
  return true;
}

bool FrameColumns::State::load_bytes(ColumnId column) {
  if (has(column)) return true;
  const bool from_vpc = column == ColumnId::kBytesFromVpc;
  const ColumnId packets_column = from_vpc ? ColumnId::kPktsFromVpc : ColumnId::kPktsFromPub;
  std::vector<std::uint64_t>& bytes = numbers[at(column)];
  if (!entries[at(column)].present) {
    bytes.assign(rows(), kUnknownCount);
    set(column);
    return true;
  }
  if (!load_packets(packets_column)) return false;
  ByteReader in({});
  if (!begin(column, in)) return false;
  const std::uint64_t length = in.varint();
  if (!in.ok() || length > rows() * sizeof(std::uint64_t)) return failure(column);
  std::vector<std::uint8_t> remainders(static_cast<std::size_t>(length));
  if (!remainders.empty() && !reader.read_block(in, remainders)) return failure(column);
  bytes.resize(rows());
  if (!read_values(column, in, bytes)) return false;

  const std::vector<std::uint64_t>& packets = numbers[at(packets_column)];
  BitReader bits(std::as_bytes(std::span(remainders)));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::uint64_t quotient = bytes[i] - 1;
    bytes[i] = has_remainder(bytes[i], packets[i] + 1)
                   ? quotient * packets[i] + get_remainder(packets[i], bits)
                   : quotient;
  }
  if (bytes_for_bits(bits.place()) != remainders.size()) return failure(column);
  set(column);
  return true;
}

bool FrameColumns::State::load_times() {
  if (has(ColumnId::kEndTime) && has(ColumnId::kStartTime)) return true;
  if (!load_numbers(ColumnId::kEndTime, rows(), scratch)) return false;
  ends.resize(rows());
  auto end = static_cast<std::uint64_t>(info.min_end.time_since_epoch().count());
  for (std::size_t i = 0; i < ends.size(); ++i) {
    end += unzigzag(scratch[i]);
    ends[i] = static_cast<std::int64_t>(end);
  }
  if (!load_plain(ColumnId::kSessionAge) || !load_plain(ColumnId::kStartTime)) return false;
  const auto& coded = numbers[at(ColumnId::kStartTime)];
  const auto& age = numbers[at(ColumnId::kSessionAge)];
  const auto min_start = static_cast<std::uint64_t>(info.min_start.time_since_epoch().count());
  starts.resize(rows());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    starts[i] = static_cast<std::int64_t>(age[i] != 0 ? min_start + coded[i]
                                                      : static_cast<std::uint64_t>(ends[i]) - coded[i]);
  }
  set(ColumnId::kEndTime);
  return true;
}

bool FrameColumns::State::load_session_starts() {
  if (has(ColumnId::kNoSessionStart) && session_starts.size() == rows()) return true;
  if (!load_times() || !load_plain(ColumnId::kNoSessionStart)) return false;
  const auto& age = numbers[at(ColumnId::kSessionAge)];
  const auto& unknown = numbers[at(ColumnId::kNoSessionStart)];
  session_starts.resize(rows());
  for (std::size_t i = 0; i < session_starts.size(); ++i) {
    session_starts[i] = unknown[i] != 0
                            ? kUnknownTime
                            : static_cast<std::int64_t>(static_cast<std::uint64_t>(starts[i]) - age[i]);
  }
  return true;
}

bool FrameColumns::State::load_outcome() {
  if (has(ColumnId::kReason)) return true;
  if (!load_small(ColumnId::kOutcome)) return false;
  if (!load_narrow(ColumnId::kReason, rows(), 0xff, reasons)) return false;
  events.resize(rows());
  tcp_states.resize(rows());
  const auto& outcome = small[at(ColumnId::kOutcome)];
  std::uint8_t largest_state = 0;
  std::uint8_t largest_reason = 0;
  for (std::size_t i = 0; i < outcome.size(); ++i) {
    events[i] = outcome[i] & 3;
    tcp_states[i] = outcome[i] >> 2;
    if (events[i] == static_cast<std::uint8_t>(RecordEvent::kEnd)) {
      reasons[i] ^= static_cast<std::uint8_t>(RecordReason::kDestroyed);
    }
    largest_state = std::max(largest_state, tcp_states[i]);
    largest_reason = std::max(largest_reason, reasons[i]);
  }
  if (largest_state > static_cast<std::uint8_t>(TcpState::kSynSent2)) return failure(ColumnId::kOutcome);
  if (largest_reason > static_cast<std::uint8_t>(RecordReason::kDamaged)) return failure(ColumnId::kReason);
  set(ColumnId::kReason);
  return true;
}

bool FrameColumns::State::load_ordinals() {
  if (has(ColumnId::kOrdinal)) return true;
  if (!load_numbers(ColumnId::kOrdinal, rows(), ordinals)) return false;
  if (ordinals.empty()) return true;  // no frame is open
  Ordinal next = info.first;
  for (Ordinal& ordinal : ordinals) {
    if (next > info.last || ordinal > info.last - next) return failure(ColumnId::kOrdinal);
    ordinal += next;
    next = ordinal + 1;
  }
  if (ordinals.back() != info.last) return failure(ColumnId::kOrdinal);
  set(ColumnId::kOrdinal);
  return true;
}

bool FrameColumns::State::load_orig_dst() {
  if (has(ColumnId::kOrigDstIp)) return true;
  if (!load_small(ColumnId::kHasOrigDst)) return false;
  orig_dst_place.clear();
  std::uint32_t count = 0;
  if (entries[at(ColumnId::kHasOrigDst)].present) {
    for (const std::uint8_t has_it : small[at(ColumnId::kHasOrigDst)]) {
      if (has_it > 1) return failure(ColumnId::kHasOrigDst);
      orig_dst_place.push_back(count);
      count += has_it;
    }
  }
  if (count != 0) {
    if (!load_address_column(ColumnId::kOrigDstIp, count)) return false;
    if (!load_narrow(ColumnId::kOrigDstPort, count, 0xffff, ports[at(ColumnId::kOrigDstPort)])) return false;
  }
  set(ColumnId::kOrigDstIp);
  return true;
}

bool FrameColumns::State::load_texts() {
  if (has(ColumnId::kOrigin)) return true;
  std::string bytes;
  std::vector<std::string_view> texts;
  const auto load = [&](ColumnId column, std::size_t parts) {
    numbers[at(column)].assign(rows(), 0);
    texts.assign(parts, {});
    if (!entries[at(column)].present) return true;
    ByteReader in({});
    if (!begin(column, in)) return false;
    if (!read_texts(in, reader, bytes, texts) || texts.size() % parts != 0) return failure(column);
    if (!read_values(column, in, numbers[at(column)])) return false;
    const auto& indexes = numbers[at(column)];
    return *std::max_element(indexes.begin(), indexes.end()) < texts.size() / parts ? true : failure(column);
  };
  const auto keep = [this](ColumnId column, const auto& label, auto& labels) {
    if (label) {
      labels.push_back(*label);
      return true;
    }
    why = label.error().message;
    return failure(column);
  };
  if (!load(ColumnId::kOrigin, 2)) return false;
  origins.clear();
  for (std::size_t text = 0; text < texts.size(); text += 2) {
    if (!keep(ColumnId::kOrigin, intern_origin(texts[text], texts[text + 1]), origins)) return false;
  }
  if (!load(ColumnId::kVpcId, 1)) return false;
  vpc_ids.clear();
  for (const std::string_view text : texts) {
    if (!keep(ColumnId::kVpcId, intern_label(text), vpc_ids)) return false;
  }
  set(ColumnId::kOrigin);
  return true;
}

bool FrameColumns::State::load_all() {
  return load_texts() && load_addresses(ColumnId::kPriIp) && load_addresses(ColumnId::kPubIp) &&
         load_addresses(ColumnId::kNatIp) && load_ports(ColumnId::kPriPort) &&
         load_ports(ColumnId::kPubPort) && load_ports(ColumnId::kNatPort) &&
         load_small(ColumnId::kProtocol) && load_outcome() && load_times() &&
         load_plain(ColumnId::kNoSessionStart) && load_plain(ColumnId::kSeq) &&
         load_packets(ColumnId::kPktsFromVpc) && load_packets(ColumnId::kPktsFromPub) &&
         load_bytes(ColumnId::kBytesFromVpc) && load_bytes(ColumnId::kBytesFromPub) && load_orig_dst() &&
         std::all_of(kPlainColumns.begin(), kPlainColumns.end(),
                     [this](std::uint16_t column) { return load_plain(static_cast<ColumnId>(column)); }) &&
         load_ordinals();
}

}  // namespace natsession
