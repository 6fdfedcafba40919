// What FrameColumns has inside: the frame's directory, and the columns decoded so far.
// Threads: one for each object.
#pragma once

#include <array>
#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/column_numbers.h"
#include "ledger/frame_columns.h"
#include "ledger/frame_layout.h"

namespace natsession {

struct FrameColumns::State {
  struct Entry {
    bool present = false;
    std::uint8_t coding = 0;
    std::uint8_t context = 0;
    std::uint32_t checksum = 0;
    std::span<const std::byte> bytes;
  };
  struct Addresses {
    std::vector<IpAddress> distinct;
    std::vector<std::uint16_t> index;
  };

  Result<void> open(std::span<const std::byte> bytes);
  Result<void> read_directory(const FrameHeader& header);
  Result<void> verify() const;
  [[nodiscard]] std::size_t rows() const { return info.records; }

  // Each decodes one column, unless it is there already. False when it is damaged; `failed` then names it.
  bool load_addresses(ColumnId column);
  bool load_ports(ColumnId column);
  bool load_small(ColumnId column);
  bool load_plain(ColumnId column);  // as it is coded
  bool load_times();
  bool load_session_starts();
  bool load_outcome();
  bool load_packets(ColumnId column);
  bool load_bytes(ColumnId column);
  bool load_ordinals();
  bool load_orig_dst();
  bool load_texts();
  bool load_all();

  // Steps of these.
  bool failure(ColumnId column);
  bool begin(ColumnId column,
             ByteReader& in);  // false if it is not there, or its checksum is wrong: see `failed`
  bool read_values(ColumnId column, ByteReader& in, std::span<std::uint64_t> out);
  bool read_grouped(ColumnContext context, ByteReader& in, std::span<std::uint64_t> out);
  bool read_keyed(std::uint8_t key, ByteReader& in, std::span<std::uint64_t> out);
  bool load_context(ColumnContext context);
  bool load_numbers(ColumnId column, std::size_t count, std::vector<std::uint64_t>& out);
  bool load_address_column(ColumnId column, std::size_t count);
  template <typename T>
  bool load_narrow(ColumnId column, std::size_t count, std::uint64_t limit, std::vector<T>& out);

  [[nodiscard]] bool has(ColumnId column) const { return loaded[static_cast<std::size_t>(column)]; }
  void set(ColumnId column) { loaded.set(static_cast<std::size_t>(column)); }
  [[nodiscard]] Error error() const;

  template <typename T>
  using ByColumn = std::array<T, kColumnIds>;
  [[nodiscard]] static constexpr std::size_t at(ColumnId column) { return static_cast<std::size_t>(column); }

  void assemble(std::size_t row, SessionRecord& record) const;
  template <typename RowOf>
  Result<void> materialise(std::size_t count, RowOf row_of, RecordBlock& out);

  NumberReader reader;
  std::span<const std::byte> frame;
  FrameInfo info;
  ByColumn<Entry> entries;
  std::vector<Entry> unknown_columns;  // columns of a newer program
  std::bitset<kColumnIds> loaded;
  std::bitset<kContexts> grouped;
  ColumnId failed{};

  ByColumn<Addresses> addresses;
  ByColumn<std::vector<std::uint16_t>> ports;
  ByColumn<std::vector<std::uint8_t>> small;
  ByColumn<std::vector<std::uint64_t>> numbers;
  std::array<std::vector<std::uint8_t>, kContexts> groups;
  std::vector<std::uint8_t> events;
  std::vector<std::uint8_t> tcp_states;
  std::vector<std::uint8_t> reasons;
  std::vector<std::int64_t> starts;
  std::vector<std::int64_t> ends;
  std::vector<std::int64_t> session_starts;
  std::vector<Ordinal> ordinals;
  std::vector<std::uint32_t> orig_dst_place;  // of each record among those that have one
  std::vector<const Origin*> origins;         // of the frame, interned
  std::vector<std::string_view> vpc_ids;      // likewise
  std::string why;                            // if a label has no room in the process

  std::vector<std::uint64_t> scratch;
  std::vector<std::uint64_t> group_scratch;
};

}  // namespace natsession
