#include "query/scan_batch.h"

#include <algorithm>

#include "ledger/ledger_directory.h"
#include "query/scan_batch_state.h"

namespace natsession {
namespace {

constexpr std::size_t kSeqPlace = 4;  // behind the four counters

template <typename Enum>
constexpr std::size_t place(Enum field) {
  return static_cast<std::size_t>(field);
}

}  // namespace

std::optional<AddressField> address_field(Field field) {
  switch (field) {
    case Field::kPriIp:
      return AddressField::kPriIp;
    case Field::kPubIp:
      return AddressField::kPubIp;
    case Field::kNatIp:
      return AddressField::kNatIp;
    default:
      return std::nullopt;
  }
}

std::optional<PortField> port_field(Field field) {
  switch (field) {
    case Field::kPriPort:
      return PortField::kPriPort;
    case Field::kPubPort:
      return PortField::kPubPort;
    case Field::kNatPort:
      return PortField::kNatPort;
    default:
      return std::nullopt;
  }
}

std::optional<TimeField> time_field(Field field) {
  switch (field) {
    case Field::kStartTime:
      return TimeField::kStartTime;
    case Field::kEndTime:
      return TimeField::kEndTime;
    case Field::kSessionStart:
      return TimeField::kSessionStart;
    default:
      return std::nullopt;
  }
}

std::optional<CounterField> counter_field(Field field) {
  switch (field) {
    case Field::kBytesFromPub:
      return CounterField::kBytesFromPub;
    case Field::kPktsFromPub:
      return CounterField::kPktsFromPub;
    case Field::kBytesFromVpc:
      return CounterField::kBytesFromVpc;
    case Field::kPktsFromVpc:
      return CounterField::kPktsFromVpc;
    default:
      return std::nullopt;
  }
}

std::optional<SmallField> small_field(Field field) {
  switch (field) {
    case Field::kProtocol:
      return SmallField::kProtocol;
    case Field::kEvent:
      return SmallField::kEvent;
    case Field::kReason:
      return SmallField::kReason;
    case Field::kTcpState:
      return SmallField::kTcpState;
    default:
      return std::nullopt;
  }
}

Columns ScanBatch::fields_of_records() {
  Columns columns;
  for (const FieldSpec& spec : kFields) {
    const Field field = spec.field;
    const bool column = address_field(field) || port_field(field) || time_field(field) ||
                        counter_field(field) || small_field(field) || field == Field::kSeq;
    if (!column) columns.add(field);
  }
  return columns;
}

void ScanBatch::State::clear() {
  rows.clear();
  block.clear();
  has_records = false;
  gap_rows.clear();
  addresses = {};
  ports = {};
  times = {};
  counters = {};
  small = {};
}

Result<void> ScanBatch::State::load(const Columns& wanted) {
  if (wanted.has_any(fields_of_records()) && !has_records) {
    if (auto made = columns.materialise(rows, block); !made) return made;
    has_records = true;
  }
  for (const FieldSpec& spec : kFields) {
    const Field field = spec.field;
    if (!wanted.has(field)) continue;
    const auto keep = [](auto column, auto& kept) -> Result<void> {
      if (!column) return column.error();
      kept = *column;
      return {};
    };
    Result<void> loaded;
    if (const auto address = address_field(field)) {
      loaded = keep(columns.addresses(*address), addresses[place(*address)]);
    } else if (const auto port = port_field(field)) {
      loaded = keep(columns.ports(*port), ports[place(*port)]);
    } else if (const auto time = time_field(field)) {
      loaded = keep(columns.times(*time), times[place(*time)]);
    } else if (const auto counter = counter_field(field)) {
      loaded = keep(columns.counters(*counter), counters[place(*counter)]);
    } else if (const auto number = small_field(field)) {
      loaded = keep(columns.small(*number), small[place(*number)]);
    } else if (field == Field::kSeq) {
      loaded = keep(columns.seqs(), counters[kSeqPlace]);
    }
    if (!loaded) return loaded;
  }
  return {};
}

ScanBatch::ScanBatch() : state_(std::make_unique<State>()) {}
ScanBatch::ScanBatch(ScanBatch&&) noexcept = default;
ScanBatch& ScanBatch::operator=(ScanBatch&&) noexcept = default;
ScanBatch::~ScanBatch() = default;

std::size_t ScanBatch::size() const {
  return state_->rows.size();
}

const FrameInfo& ScanBatch::frame() const {
  return state_->columns.info();
}

std::span<const std::uint32_t> ScanBatch::rows() const {
  return state_->rows;
}

AddressColumn ScanBatch::addresses(Field field) const {
  const auto column = address_field(field);
  return column ? state_->addresses[place(*column)] : AddressColumn();
}

std::span<const std::uint16_t> ScanBatch::ports(Field field) const {
  const auto column = port_field(field);
  return column ? state_->ports[place(*column)] : std::span<const std::uint16_t>();
}

std::span<const std::int64_t> ScanBatch::times(Field field) const {
  const auto column = time_field(field);
  return column ? state_->times[place(*column)] : std::span<const std::int64_t>();
}

std::span<const std::uint64_t> ScanBatch::counters(Field field) const {
  if (field == Field::kSeq) return state_->counters[kSeqPlace];
  const auto column = counter_field(field);
  return column ? state_->counters[place(*column)] : std::span<const std::uint64_t>();
}

std::span<const std::uint8_t> ScanBatch::small(Field field) const {
  const auto column = small_field(field);
  return column ? state_->small[place(*column)] : std::span<const std::uint8_t>();
}

std::span<const SessionRecord> ScanBatch::records() const {
  return state_->has_records ? std::span<const SessionRecord>(state_->block.records)
                             : std::span<const SessionRecord>();
}

bool ScanBatch::is_gap(std::size_t i) const {
  const auto& gaps = state_->gap_rows;
  return !gaps.empty() && std::binary_search(gaps.begin(), gaps.end(), state_->rows[i]);
}

Ordinal ScanBatch::ordinal(std::size_t i) const {
  const auto ordinals = state_->columns.ordinals();
  if (ordinals) return (*ordinals)[state_->rows[i]];
  // No two frames begin with the same ordinal, and no record's ordinal is above kMaxOrdinal.
  return kMaxOrdinal | ((frame().first * kMaxFrameRecords + state_->rows[i]) & (kMaxOrdinal - 1));
}

Result<void> ScanBatch::materialise(std::span<const std::uint32_t> rows, RecordBlock& out) const {
  return state_->columns.materialise(rows, out);
}

Trouble ScanBatch::damage(const Error& error) const {
  const FrameInfo& info = frame();
  return {
      TroubleKind::kDamaged,
      {info.min_end, info.max_end},
      info.records,
      "records " + std::to_string(info.first) + " to " + std::to_string(info.last) + ": " + error.message};
}

const SessionRecord* ScanBatch::record(std::size_t i) const {
  return state_->has_records ? &state_->block.records[i] : nullptr;
}

}  // namespace natsession
