// FrameColumns: one frame, column by column. What a query asks about is decoded first, and only for the
// records that it wants are the other columns decoded at all. A column is checked and decoded when it is
// first asked for.
// Threads: one for each object. To be used again for frame after frame: it keeps its memory.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>

#include "base/result.h"
#include "ledger/frame.h"
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
  FrameColumns();
  FrameColumns(FrameColumns&&) noexcept;
  FrameColumns& operator=(FrameColumns&&) noexcept;
  ~FrameColumns();

  // Takes a frame, and checks its header and directory, not its columns.
  // Shape:  `frame` is exactly one frame; it must outlive the next open() or this object.
  // Errors: kMalformed; kUnavailable for a newer version or required feature. No column can be asked for
  // then.
  Result<void> open(std::span<const std::byte> frame);

  [[nodiscard]] const FrameInfo& info() const;

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
  Result<void> verify();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace natsession
