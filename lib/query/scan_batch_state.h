// What a ScanBatch has inside: a frame's bytes and columns, and which of its records passed.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "ledger/record_block.h"
#include "query/scan_batch.h"
#include "query/scan_report.h"

namespace natsession {

struct ScanBatch::State {
  std::vector<std::byte> bytes;
  FrameColumns columns;
  std::vector<std::uint32_t> rows;
  RecordBlock block;  // a record for each row, if has_records
  bool has_records = false;
  std::vector<std::uint32_t> gap_rows;  // ascending; those of rows that are gap records are among them

  // The columns that were asked for, by field.
  std::array<AddressColumn, 3> addresses;
  std::array<std::span<const std::uint16_t>, 3> ports;
  std::array<std::span<const std::int64_t>, 3> times;
  std::array<std::span<const std::uint64_t>, 5> counters;
  std::array<std::span<const std::uint8_t>, 4> small;

  std::vector<std::uint8_t> marks;  // scratch: of each different address

  // Decodes the columns that the consumer wants.
  Result<void> load(const Columns& wanted);
  void clear();
};

// Which column a field is; nothing for those that only records have.
[[nodiscard]] std::optional<AddressField> address_field(Field field);
[[nodiscard]] std::optional<PortField> port_field(Field field);
[[nodiscard]] std::optional<TimeField> time_field(Field field);
[[nodiscard]] std::optional<CounterField> counter_field(Field field);
[[nodiscard]] std::optional<SmallField> small_field(Field field);

}  // namespace natsession
