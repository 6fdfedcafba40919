#include "ledger/frame_columns.h"

#include "ledger/frame_columns_state.h"

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

FrameColumns::FrameColumns() : state_(std::make_unique<State>()) {}
FrameColumns::FrameColumns(FrameColumns&&) noexcept = default;
FrameColumns& FrameColumns::operator=(FrameColumns&&) noexcept = default;
FrameColumns::~FrameColumns() = default;

Result<void> FrameColumns::open(std::span<const std::byte> frame) {
  return state_->open(frame);
}

const FrameInfo& FrameColumns::info() const {
  return state_->info;
}

Result<void> FrameColumns::verify() {
  return state_->verify();
}

Result<AddressColumn> FrameColumns::addresses(Field field) {
  const ColumnId column = column_of(field);
  if (!state_->load_addresses(column)) return state_->error();
  const State::Addresses& loaded = state_->addresses[State::at(column)];
  return AddressColumn{loaded.distinct, loaded.index};
}

Result<std::span<const std::uint16_t>> FrameColumns::ports(Field field) {
  const ColumnId column = column_of(field);
  if (!state_->load_ports(column)) return state_->error();
  return std::span<const std::uint16_t>(state_->ports[State::at(column)]);
}

Result<std::span<const std::int64_t>> FrameColumns::times(Field field) {
  if (field == Field::kSessionStart) {
    if (!state_->load_session_starts()) return state_->error();
    return std::span<const std::int64_t>(state_->session_starts);
  }
  if (!state_->load_times()) return state_->error();
  return std::span<const std::int64_t>(field == Field::kStartTime ? state_->starts : state_->ends);
}

Result<std::span<const std::uint64_t>> FrameColumns::counters(Field field) {
  const ColumnId column = column_of(field);
  const bool bytes = field == Field::kBytesFromVpc || field == Field::kBytesFromPub;
  const bool loaded = field == Field::kSeq ? state_->load_plain(column)
                      : bytes              ? state_->load_bytes(column)
                                           : state_->load_packets(column);
  if (!loaded) return state_->error();
  return std::span<const std::uint64_t>(state_->numbers[State::at(column)]);
}

Result<std::span<const std::uint8_t>> FrameColumns::small(Field field) {
  if (field == Field::kProtocol) {
    if (!state_->load_small(ColumnId::kProtocol)) return state_->error();
    return std::span<const std::uint8_t>(state_->small[State::at(ColumnId::kProtocol)]);
  }
  if (!state_->load_outcome()) return state_->error();
  if (field == Field::kEvent) return std::span<const std::uint8_t>(state_->events);
  return std::span<const std::uint8_t>(field == Field::kReason ? state_->reasons : state_->tcp_states);
}

Result<std::span<const Ordinal>> FrameColumns::ordinals() {
  if (!state_->load_ordinals()) return state_->error();
  return std::span<const Ordinal>(state_->ordinals);
}

// All columns are loaded.
void FrameColumns::State::assemble(std::size_t row, SessionRecord& record) const {
  using enum ColumnId;
  const auto number = [&](ColumnId column) { return numbers[at(column)][row]; };
  const auto address = [&](ColumnId column) {
    const Addresses& all = addresses[at(column)];
    return all.distinct[all.index[row]];
  };
  record.origin = origins[number(kOrigin)];
  record.vpc_id = vpc_ids[number(kVpcId)];
  record.pri_ip = address(kPriIp);
  record.pub_ip = address(kPubIp);
  record.nat_ip = address(kNatIp);
  record.pri_port = ports[at(kPriPort)][row];
  record.pub_port = ports[at(kPubPort)][row];
  record.nat_port = ports[at(kNatPort)][row];
  record.bytes_from_pub = count_of(number(kBytesFromPub));
  record.pkts_from_pub = count_of(number(kPktsFromPub));
  record.bytes_from_vpc = count_of(number(kBytesFromVpc));
  record.pkts_from_vpc = count_of(number(kPktsFromVpc));
  record.start_time = at_ms(starts[row]);
  record.end_time = at_ms(ends[row]);
  if (number(kNoSessionStart) == 0) {
    const std::uint64_t start = static_cast<std::uint64_t>(starts[row]) - number(kSessionAge);
    record.session_start = at_ms(static_cast<std::int64_t>(start));
  }
  record.seq = static_cast<std::uint32_t>(number(kSeq));
  record.protocol = small[at(kProtocol)][row];
  record.event = static_cast<RecordEvent>(events[row]);
  record.reason = static_cast<RecordReason>(reasons[row]);
  record.tcp_state = static_cast<TcpState>(tcp_states[row]);
  visit_plain([&]<Field kField>() { set_plain<kField>(number(kColumn<kField>), record); });
  if (!orig_dst_place.empty() && small[at(kHasOrigDst)][row] != 0) {
    const std::uint32_t place = orig_dst_place[row];
    const Addresses& all = addresses[at(kOrigDstIp)];
    record.has_orig_dst = true;
    record.orig_dst_ip = all.distinct[all.index[place]];
    record.orig_dst_port = ports[at(kOrigDstPort)][place];
  }
  record.session_id = record.event == RecordEvent::kGap ? 0 : derive_session_id(record);
}

template <typename RowOf>
Result<void> FrameColumns::State::materialise(std::size_t count, RowOf row_of, RecordBlock& out) {
  if (!load_all()) return error();
  if (count == 0) return {};
  const std::size_t before = out.records.size();
  out.records.resize(before + count);
  out.ordinals.resize(before + count);
  for (std::size_t i = 0; i < count; ++i) {
    assemble(row_of(i), out.records[before + i]);
    out.ordinals[before + i] = ordinals[row_of(i)];
  }
  return {};
}

Result<void> FrameColumns::materialise(std::span<const std::uint32_t> rows, RecordBlock& out) {
  return state_->materialise(
      rows.size(), [rows](std::size_t i) { return std::size_t{rows[i]}; }, out);
}

Result<void> FrameColumns::materialise_all(RecordBlock& out) {
  return state_->materialise(
      state_->rows(), [](std::size_t i) { return i; }, out);
}

struct FrameDecoder::State {
  FrameColumns columns;
};

FrameDecoder::FrameDecoder() : state_(std::make_unique<State>()) {}
FrameDecoder::FrameDecoder(FrameDecoder&&) noexcept = default;
FrameDecoder& FrameDecoder::operator=(FrameDecoder&&) noexcept = default;
FrameDecoder::~FrameDecoder() = default;

Result<void> FrameDecoder::decode(std::span<const std::byte> frame, RecordBlock& out) {
  FrameColumns& columns = state_->columns;
  if (auto opened = columns.open(frame); !opened) return opened;
  if (auto verified = columns.verify(); !verified) return verified;
  return columns.materialise_all(out);
}

}  // namespace natsession
