// FrameColumns: one frame, column by column. What a query asks about is decoded first, and only for the
// records that it wants are the other columns decoded at all. A column is checked and decoded when it is
// first asked for. FrameDecoder: all of it at once.
// Threads: one for each object. To be used again for frame after frame: it keeps its memory.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/column_numbers.h"
#include "ledger/frame.h"
#include "ledger/frame_layout.h"
#include "record/fields.h"

namespace natsession {

inline constexpr std::uint64_t kUnknownCount = std::numeric_limits<std::uint64_t>::max();
inline constexpr std::int64_t kUnknownTime = std::numeric_limits<std::int64_t>::min();

// The address of record i is distinct[index[i]]: ask once about each address, then look at the records.
// `distinct` has no order, and nothing in it is there twice, unless somebody else's encoder wrote the frame.
struct AddressColumn {
  std::span<const IpAddress> distinct;
  std::span<const std::uint16_t> index;
};

class FrameColumns {
 public:
  // Takes a frame, and checks its header and directory, not its columns.
  // Shape:  `frame` is exactly one frame; it must outlive the next open() or this object.
  // Errors: kMalformed; kUnavailable for a newer version or required feature. No column can be asked for
  // then.
  Result<void> open(std::span<const std::byte> frame);

  [[nodiscard]] const FrameInfo& info() const { return info_; }

  // Each returns info().records values in the order of the frame, good until the next open().
  // Shape:  `field` is stored so: see Stored in record/fields.h.
  // Errors: kMalformed, naming the column, which or one of those that it depends on is damaged. Others may
  // be good.
  [[nodiscard]] Result<AddressColumn> addresses(Field field);
  [[nodiscard]] Result<std::span<const std::uint16_t>> ports(Field field);
  [[nodiscard]] Result<std::span<const std::int64_t>> times(Field field);  // ms since 1970, or kUnknownTime
  [[nodiscard]] Result<std::span<const std::uint64_t>> counters(Field field);  // or kUnknownCount; seq, too
  [[nodiscard]] Result<std::span<const std::uint8_t>> small(Field field);      // words by their numbers
  [[nodiscard]] Result<std::span<const Ordinal>> ordinals();

  // Adds records to `out`: those at `rows`, or all. Decodes what has not been decoded yet. session_id is
  // derived.
  // Errors: as above; `out` is then unchanged.
  Result<void> materialise(std::span<const std::uint32_t> rows, RecordBlock& out);
  Result<void> materialise_all(RecordBlock& out);

  // Checks the checksums of all columns, also of those that this program does not know.
  Result<void> verify() const;

 private:
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

  Result<void> read_directory(const FrameHeader& header);
  [[nodiscard]] std::size_t rows() const { return info_.records; }

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

  [[nodiscard]] bool has(ColumnId column) const { return loaded_[static_cast<std::size_t>(column)]; }
  void set(ColumnId column) { loaded_.set(static_cast<std::size_t>(column)); }
  [[nodiscard]] Error error() const;

  template <typename T>
  using ByColumn = std::array<T, kColumnIds>;
  [[nodiscard]] static constexpr std::size_t at(ColumnId column) { return static_cast<std::size_t>(column); }

  void assemble(std::size_t row, SessionRecord& record) const;
  template <typename RowOf>
  Result<void> materialise(std::size_t count, RowOf row_of, RecordBlock& out);

  NumberReader reader_;
  std::span<const std::byte> frame_;
  FrameInfo info_;
  ByColumn<Entry> entries_;
  std::vector<Entry> unknown_columns_;  // columns of a newer program
  std::bitset<kColumnIds> loaded_;
  std::bitset<kContexts> grouped_;
  ColumnId failed_{};

  ByColumn<Addresses> addresses_;
  ByColumn<std::vector<std::uint16_t>> ports_;
  ByColumn<std::vector<std::uint8_t>> small_;
  ByColumn<std::vector<std::uint64_t>> numbers_;
  std::array<std::vector<std::uint8_t>, kContexts> groups_;
  std::vector<std::uint8_t> events_;
  std::vector<std::uint8_t> tcp_states_;
  std::vector<std::uint8_t> reasons_;
  std::vector<std::int64_t> starts_;
  std::vector<std::int64_t> ends_;
  std::vector<std::int64_t> session_starts_;
  std::vector<Ordinal> ordinals_;
  std::vector<std::uint32_t> orig_dst_place_;  // of each record among those that have one
  std::vector<const Origin*> origins_;         // of the frame, interned
  std::vector<std::string_view> vpc_ids_;      // likewise
  std::string why_;                            // if a label has no room in the process

  std::vector<std::uint64_t> scratch_;
  std::vector<std::uint64_t> group_scratch_;
};

class FrameDecoder {
 public:
  // Adds all records of a frame to `out`. session_id is derived.
  // Shape:  `frame` is exactly one frame.
  // Errors: kMalformed, saying what; kUnavailable for a newer version or required feature. `out` is then
  //         unchanged. Never a wrong record: checksums go first.
  Result<void> decode(std::span<const std::byte> frame, RecordBlock& out);

 private:
  FrameColumns columns_;
};

}  // namespace natsession
