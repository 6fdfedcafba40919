// What each column of a frame means.
#include <algorithm>
#include <limits>

#include "ledger/dictionaries.h"
#include "ledger/frame_columns.h"
#include "ledger/number_coding.h"
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
bool FrameColumns::load_narrow(ColumnId column, std::size_t count, std::uint64_t limit, std::vector<T>& out) {
  if (!load_numbers(column, count, scratch_)) return false;
  out.resize(count);
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, scratch_[i]);
    out[i] = static_cast<T>(scratch_[i]);
  }
  return largest <= limit ? true : failure(column);
}

bool FrameColumns::load_address_column(ColumnId column, std::size_t count) {
  Addresses& out = addresses_[at(column)];
  if (!entries_[at(column)].present) {
    out.distinct.assign(1, IpAddress());
    out.index.assign(count, 0);
    return true;
  }
  ByteReader in({});
  if (!begin(column, in)) return false;
  std::size_t several = 0;
  if (!read_distinct(in, reader_, count, out.distinct, several)) return failure(column);
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

bool FrameColumns::load_addresses(ColumnId column) {
  if (has(column)) return true;
  if (!load_address_column(column, rows())) return false;
  set(column);
  return true;
}

bool FrameColumns::load_ports(ColumnId column) {
  if (has(column)) return true;
  if (!load_narrow(column, rows(), 0xffff, ports_[at(column)])) return false;
  if (column == ColumnId::kNatPort) {
    if (!load_ports(ColumnId::kPriPort)) return false;
    const auto& pri = ports_[at(ColumnId::kPriPort)];
    auto& nat = ports_[at(ColumnId::kNatPort)];
    for (std::size_t i = 0; i < nat.size(); ++i) nat[i] = static_cast<std::uint16_t>(nat[i] + pri[i]);
  }
  set(column);
  return true;
}

bool FrameColumns::load_small(ColumnId column) {
  if (has(column)) return true;
  if (!load_narrow(column, rows(), 0xff, small_[at(column)])) return false;
  set(column);
  return true;
}

bool FrameColumns::load_plain(ColumnId column) {
  if (has(column)) return true;
  std::vector<std::uint64_t>& out = numbers_[at(column)];
  if (!load_numbers(column, rows(), out)) return false;
  if (const std::uint64_t limit = limit_of(column); limit != kNoLimit && !out.empty()) {
    if (*std::max_element(out.begin(), out.end()) > limit) return failure(column);
  }
  set(column);
  return true;
}

bool FrameColumns::load_packets(ColumnId column) {
  if (has(column)) return true;
  if (!load_plain(column)) return false;
  for (std::uint64_t& count : numbers_[at(column)]) --count;  // unknown, 0, becomes kUnknownCount
  return true;
}

bool FrameColumns::load_bytes(ColumnId column) {
  if (has(column)) return true;
  const bool from_vpc = column == ColumnId::kBytesFromVpc;
  const ColumnId packets_column = from_vpc ? ColumnId::kPktsFromVpc : ColumnId::kPktsFromPub;
  std::vector<std::uint64_t>& bytes = numbers_[at(column)];
  if (!entries_[at(column)].present) {
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
  if (!remainders.empty() && !reader_.read_block(in, remainders)) return failure(column);
  bytes.resize(rows());
  if (!read_values(column, in, bytes)) return false;

  const std::vector<std::uint64_t>& packets = numbers_[at(packets_column)];
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

bool FrameColumns::load_times() {
  if (has(ColumnId::kEndTime) && has(ColumnId::kStartTime)) return true;
  if (!load_numbers(ColumnId::kEndTime, rows(), scratch_)) return false;
  ends_.resize(rows());
  auto end = static_cast<std::uint64_t>(info_.min_end.time_since_epoch().count());
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    end += unzigzag(scratch_[i]);
    ends_[i] = static_cast<std::int64_t>(end);
  }
  if (!load_plain(ColumnId::kSessionAge) || !load_plain(ColumnId::kStartTime)) return false;
  const auto& coded = numbers_[at(ColumnId::kStartTime)];
  const auto& age = numbers_[at(ColumnId::kSessionAge)];
  const auto min_start = static_cast<std::uint64_t>(info_.min_start.time_since_epoch().count());
  starts_.resize(rows());
  for (std::size_t i = 0; i < starts_.size(); ++i) {
    starts_[i] = static_cast<std::int64_t>(age[i] != 0 ? min_start + coded[i]
                                                       : static_cast<std::uint64_t>(ends_[i]) - coded[i]);
  }
  set(ColumnId::kEndTime);
  return true;
}

bool FrameColumns::load_session_starts() {
  if (has(ColumnId::kNoSessionStart) && session_starts_.size() == rows()) return true;
  if (!load_times() || !load_plain(ColumnId::kNoSessionStart)) return false;
  const auto& age = numbers_[at(ColumnId::kSessionAge)];
  const auto& unknown = numbers_[at(ColumnId::kNoSessionStart)];
  session_starts_.resize(rows());
  for (std::size_t i = 0; i < session_starts_.size(); ++i) {
    session_starts_[i] = unknown[i] != 0
                             ? kUnknownTime
                             : static_cast<std::int64_t>(static_cast<std::uint64_t>(starts_[i]) - age[i]);
  }
  return true;
}

bool FrameColumns::load_outcome() {
  if (has(ColumnId::kReason)) return true;
  if (!load_small(ColumnId::kOutcome)) return false;
  if (!load_narrow(ColumnId::kReason, rows(), 0xff, reasons_)) return false;
  events_.resize(rows());
  tcp_states_.resize(rows());
  const auto& outcome = small_[at(ColumnId::kOutcome)];
  std::uint8_t largest_state = 0;
  std::uint8_t largest_reason = 0;
  for (std::size_t i = 0; i < outcome.size(); ++i) {
    events_[i] = outcome[i] & 3;
    tcp_states_[i] = outcome[i] >> 2;
    if (events_[i] == static_cast<std::uint8_t>(RecordEvent::kEnd)) {
      reasons_[i] ^= static_cast<std::uint8_t>(RecordReason::kDestroyed);
    }
    largest_state = std::max(largest_state, tcp_states_[i]);
    largest_reason = std::max(largest_reason, reasons_[i]);
  }
  if (largest_state > static_cast<std::uint8_t>(TcpState::kSynSent2)) return failure(ColumnId::kOutcome);
  if (largest_reason > static_cast<std::uint8_t>(kLast<RecordReason>)) return failure(ColumnId::kReason);
  set(ColumnId::kReason);
  return true;
}

bool FrameColumns::load_ordinals() {
  if (has(ColumnId::kOrdinal)) return true;
  if (!load_numbers(ColumnId::kOrdinal, rows(), ordinals_)) return false;
  if (ordinals_.empty()) return true;  // no frame is open
  Ordinal next = info_.first;
  for (Ordinal& ordinal : ordinals_) {
    if (next > info_.last || ordinal > info_.last - next) return failure(ColumnId::kOrdinal);
    ordinal += next;
    next = ordinal + 1;
  }
  if (ordinals_.back() != info_.last) return failure(ColumnId::kOrdinal);
  set(ColumnId::kOrdinal);
  return true;
}

bool FrameColumns::load_orig_dst() {
  if (has(ColumnId::kOrigDstIp)) return true;
  if (!load_small(ColumnId::kHasOrigDst)) return false;
  orig_dst_place_.clear();
  std::uint32_t count = 0;
  if (entries_[at(ColumnId::kHasOrigDst)].present) {
    for (const std::uint8_t has_it : small_[at(ColumnId::kHasOrigDst)]) {
      if (has_it > 1) return failure(ColumnId::kHasOrigDst);
      orig_dst_place_.push_back(count);
      count += has_it;
    }
  }
  if (count != 0) {
    if (!load_address_column(ColumnId::kOrigDstIp, count)) return false;
    if (!load_narrow(ColumnId::kOrigDstPort, count, 0xffff, ports_[at(ColumnId::kOrigDstPort)])) return false;
  }
  set(ColumnId::kOrigDstIp);
  return true;
}

bool FrameColumns::load_texts() {
  if (has(ColumnId::kOrigin)) return true;
  std::string bytes;
  std::vector<std::string_view> texts;
  const auto load = [&](ColumnId column, std::size_t parts) {
    numbers_[at(column)].assign(rows(), 0);
    texts.assign(parts, {});
    if (!entries_[at(column)].present) return true;
    ByteReader in({});
    if (!begin(column, in)) return false;
    if (!read_texts(in, reader_, bytes, texts) || texts.size() % parts != 0) return failure(column);
    if (!read_values(column, in, numbers_[at(column)])) return false;
    const auto& indexes = numbers_[at(column)];
    return *std::max_element(indexes.begin(), indexes.end()) < texts.size() / parts ? true : failure(column);
  };
  const auto keep = [this](ColumnId column, const auto& label, auto& labels) {
    if (label) {
      labels.push_back(*label);
      return true;
    }
    why_ = label.error().message;
    return failure(column);
  };
  if (!load(ColumnId::kOrigin, 2)) return false;
  origins_.clear();
  for (std::size_t text = 0; text < texts.size(); text += 2) {
    if (!keep(ColumnId::kOrigin, intern_origin(texts[text], texts[text + 1]), origins_)) return false;
  }
  if (!load(ColumnId::kVpcId, 1)) return false;
  vpc_ids_.clear();
  for (const std::string_view text : texts) {
    if (!keep(ColumnId::kVpcId, intern_label(text), vpc_ids_)) return false;
  }
  set(ColumnId::kOrigin);
  return true;
}

bool FrameColumns::load_all() {
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
