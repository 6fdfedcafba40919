// FrameColumns: one frame, column by column, and block of rows by block. What a query asks about is decoded
// first, and only for the rows that it wants is the rest decoded at all. A part of the frame is read and
// checked when it is first asked for. FrameDecoder: all of it at once.
// Threads: one for each object. To be used again for frame after frame: it keeps its memory.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/scratch.h"
#include "ledger/frame.h"
#include "ledger/frame_layout.h"
#include "ledger/frame_parts.h"
#include "ledger/host_index.h"
#include "ledger/number_model.h"
#include "ledger/peer_dictionary.h"
#include "ledger/record_columns.h"
#include "record/fields.h"

namespace natsession {

inline constexpr std::uint64_t kUnknownCount = std::numeric_limits<std::uint64_t>::max();
inline constexpr std::int64_t kUnknownTime = std::numeric_limits<std::int64_t>::min();

// The address of row i is distinct[index[i]]: ask once about each address, then look at the rows. `distinct`
// has no order, and may have an address twice.
struct AddressColumn {
  std::span<const IpAddress> distinct;
  std::span<const std::uint16_t> index;
};

// Leaves the rows that `keep(row)` is true of, in their order, without a branch on what nobody can foretell.
template <typename Keep>
void keep_rows(std::vector<std::uint32_t>& rows, Keep keep) {
  std::size_t kept = 0;
  for (const std::uint32_t row : rows) {
    rows[kept] = row;
    kept += keep(row) ? 1U : 0U;
  }
  rows.resize(kept);
}

class FrameColumns {
 public:
  using Read = FrameParts::Read;

  // Takes a frame, and checks its header and directory, not its parts.
  // Shape:  `frame` is exactly one frame; it must outlive the next open() or this object.
  // Errors: kMalformed; kUnavailable for a newer version or required feature. No column can be asked for then.
  Result<void> open(std::span<const std::byte> frame, Peers peers = nullptr);
  // The same of a frame of so many bytes, of which no more is read than is asked for; nor is the dictionary
  // asked for before a column is that needs it.
  using PeersOf = std::function<Peers()>;
  Result<void> open(std::uint32_t bytes, Read read, PeersOf peers);

  // Of no records where no frame is open.
  [[nodiscard]] const FrameInfo& info() const { return parts_.info(); }

  // From now on values are wanted of these rows, ascending or not. The others may be anything.
  void want(std::span<const std::uint32_t> rows);
  void want_all();

  // Whole records of them will be asked for: their columns take less time together than one by one. What
  // cannot be read is told when it is asked for.
  void expect_whole() { static_cast<void>(rows() == 0 || load_pairs()); }

  // Each returns info().records values, those of the rows that are wanted right, good until the next open().
  // Shape:  `field` is stored so: see Stored in record/fields.h.
  // Errors: kMalformed, naming the column that is damaged. Others may be good.
  [[nodiscard]] Result<AddressColumn> addresses(Field field);
  [[nodiscard]] Result<std::span<const std::uint16_t>> ports(Field field);
  [[nodiscard]] Result<std::span<const std::int64_t>> times(Field field);  // ms since 1970, or kUnknownTime
  [[nodiscard]] Result<std::span<const std::uint64_t>> counters(Field field);  // or kUnknownCount; seq, too
  [[nodiscard]] Result<std::span<const std::uint8_t>> small(Field field);      // words by their numbers
  [[nodiscard]] Result<std::span<const Ordinal>> ordinals();
  // Of each row whether it is not the session log's, as a number that is not 0. Empty where all are.
  [[nodiscard]] Result<std::span<const std::uint64_t>> flows();

  using Passes = std::function<bool(const IpAddress&)>;
  // Which addresses pass: none outside of `from` to `to`, and of those all, or those that `passes` is true
  // of.
  struct Wanted {
    Passes passes;  // null: all
    IpAddress from, to;
  };
  // The rows whose nat_ip and pri_ip pass, ascending, and those whose nat_ip is ::, as in gap records. No
  // more is read than must be.
  Result<void> rows_of(const Wanted& nat_ip, const Wanted& pri_ip, std::vector<std::uint32_t>& rows);
  // Leaves those of `rows` whose pub_ip passes. `only`, if not empty: no others pass than these, which
  // ascend. `marks` is kept by who asks the same of frame after frame: what was found out of a segment's
  // dictionary.
  struct PubMarks {
    std::uint32_t dictionary = 0;       // its checksum; 0: none
    std::vector<std::uint8_t> passes;   // of each place
    std::vector<std::uint32_t> before;  // of each place, and behind the last: how many before it pass
    std::vector<std::uint64_t> likely;  // a bit for each hash: what has none is not among `only`
  };
  Result<void> keep_pub_ips(const Passes& passes, std::span<const IpAddress> only, PubMarks& marks,
                            std::vector<std::uint32_t>& rows);
  // Whether there are rows whose nat_ip is ::.
  Result<bool> has_unspecified_nat_ip();

  // Adds records to `out`: those at `rows`, in that order, or all, in the order of their ordinals. session_id
  // is derived.
  // Errors: as above; `out` is then unchanged.
  Result<void> materialise(std::span<const std::uint32_t> rows, RecordBlock& out);
  Result<void> materialise_all(RecordBlock& out);

  // Checks all checksums.
  Result<void> verify() { return parts_.verify(); }

 private:
  static constexpr std::size_t kMaxBlocks = blocks_of(kMaxSealedRecords);
  // From so many rows on it is worth it to test each place of a segment's dictionary.
  static constexpr std::size_t kPubRowsToMark = 1024;
  enum class What : std::uint8_t { kNothing, kHead, kHosts, kModels, kColumn, kPorts, kPeers };

  struct Block {
    std::size_t split = 0;            // the columns before this place have their streams
    std::span<const std::byte> rest;  // behind these
    std::array<std::span<const std::byte>, kPlan.size()> streams;
  };
  // How many rows of each block, from its first on.
  using Reach = std::array<std::uint16_t, kMaxBlocks>;

  void forget();
  void want_blocks(std::uint64_t blocks);
  bool load_peers();
  [[nodiscard]] std::size_t rows() const { return info().records; }
  bool load_head();
  bool load_clock();
  bool load_blocks();
  bool load_runs();                     // of all wanted rows
  bool load_models(std::size_t place);  // of kPlan's columns up to this
  bool load_keys();
  bool split(std::size_t block, std::size_t place);  // likewise
  bool load_column(std::size_t place);               // of kPlan, of all wanted blocks
  bool load_column(ColumnId column) { return load_column(plan_place(column)); }
  bool decode(std::size_t place, std::size_t block, std::size_t count);
  [[nodiscard]] std::size_t rows_in(std::size_t block) const {
    return std::min(rows() - block * kBlockRows, kBlockRows);
  }
  // Calls `make(row, end)` for the rows up to the last wanted one of each wanted block that are not done.
  template <typename Make>
  void make_left(Reach& done, Make make);
  bool load_pairs();
  bool find_stream(std::size_t place, std::size_t block, NumberDecoder::Block& coded);
  bool get_symbols(std::size_t place, std::size_t block);
  bool get_symbols(std::size_t place, std::size_t block, std::size_t other_place, std::size_t other_block);
  bool make_groups(Context context, std::size_t block, GroupSpan& groups);
  bool settle(ColumnId column, std::size_t begin, std::span<std::uint64_t> values);
  template <typename T, typename ValueOf>
  bool load_narrow(ColumnId column, Reach& done, Scratch<T>& out, ValueOf value_of);
  bool load_nat_ports();
  bool load_pri_ports();
  bool load_pub_places();
  bool load_pub_ip();
  bool load_symbols(std::size_t place);  // of a column that has a model, of all wanted blocks
  bool find_pub_ips(const Passes& passes, const PubMarks& marks);
  [[nodiscard]] IpAddress pub_ip(std::uint64_t place, std::uint64_t high, std::uint64_t low) const;
  bool load_outcome();
  bool load_texts();
  bool load_all();
  bool fail(What what, ColumnId column = {});
  [[nodiscard]] Error error() const;

  [[nodiscard]] static std::size_t plan_place(ColumnId column);
  [[nodiscard]] static constexpr std::size_t at(ColumnId column) { return static_cast<std::size_t>(column); }
  [[nodiscard]] std::span<const std::uint64_t> numbers(ColumnId column) const;
  void assemble(std::size_t row, SessionRecord& record) const;

  FrameParts parts_;
  Peers peers_;
  PeersOf peers_of_;          // null once it was asked
  std::uint64_t wanted_ = 0;  // blocks, a bit each
  Reach reach_{};             // of these, up to the last row that is wanted
  bool few_ = false;          // then these rows are wanted, and no others
  std::vector<std::uint32_t> few_rows_;

  bool has_head_ = false;
  bool has_clock_ = false;
  bool has_blocks_ = false;
  bool has_texts_ = false;
  std::vector<std::string_view> origin_texts_;
  std::vector<std::string_view> vpc_texts_;
  std::vector<IpAddress> nats_;
  std::span<const std::byte> knots_;  // as they stand in the head
  FrameClock clock_;
  std::vector<HostBlock> host_blocks_;
  std::vector<std::uint8_t> host_block_done_;
  std::uint64_t runs_done_ = 0;
  std::vector<HostRun> runs_;          // of one block
  std::vector<IpAddress> hosts_;       // of the runs that were read
  Scratch<std::uint16_t> host_index_;  // of each row
  Scratch<std::uint16_t> nat_index_;
  Scratch<std::uint8_t> first_of_run_;

  std::array<NumberDecoder, kPlan.size()> models_;
  std::size_t models_done_ = 0;  // the columns before this place have theirs
  bool models_bad_ = false;      // those behind do not
  std::span<const std::byte> models_rest_;
  std::array<std::size_t, kContexts> group_counts_{};  // as the lists say
  std::bitset<kPlan.size()> grouped_columns_;          // which of them have groups
  struct Listed {
    std::vector<std::uint8_t> group_of;  // of each key
    std::vector<std::uint16_t> keys;
  };
  std::array<Listed, kContexts> listed_;
  std::array<Block, kMaxBlocks> blocks_;
  std::array<Reach, kPlan.size()> done_{};                  // of each column
  std::array<std::uint64_t, kPlan.size()> symbols_done_{};  // blocks, a bit each: only the numbers are left
  std::array<Scratch<std::uint64_t>, kPlan.size()> numbers_;
  std::array<const std::uint64_t*, kColumnIds> all_{};  // each column's numbers, once all are loaded
  std::array<Scratch<std::uint8_t>, kPlan.size()> symbols_;
  std::array<Scratch<std::uint8_t>, kContexts> groups_;
  std::array<std::uint64_t, kContexts> grouped_{};

  std::uint64_t ports_done_ = 0;  // blocks, a bit each
  Reach pri_ports_done_{};
  Reach pub_ports_done_{};
  Reach protocol_done_{};
  Reach outcome_done_{};
  Reach session_start_done_{};
  std::vector<std::uint64_t> pub_ip_done_;  // rows, a bit each; empty: none
  Scratch<std::uint16_t> nat_ports_;
  Scratch<std::uint16_t> pri_ports_;
  Scratch<std::uint16_t> pub_ports_;
  Scratch<std::uint8_t> protocol_;
  Scratch<std::uint8_t> events_;
  Scratch<std::uint8_t> tcp_states_;
  Scratch<std::uint8_t> reasons_;
  Scratch<std::int64_t> session_starts_;
  std::vector<NumberDecoder::Found> found_;  // scratch, likewise
  std::vector<std::uint16_t> own_rows_;
  std::vector<std::uint64_t> own_lows_;
  std::vector<std::uint32_t> passing_rows_;
  Scratch<std::uint8_t> passing_;  // of each row
  std::vector<IpAddress> pubs_;
  Scratch<std::uint16_t> pub_index_;
  std::vector<std::uint32_t>
      pub_of_;  // of each place of the dictionary: one more than where it stands in pubs_, or 0
  std::vector<std::uint32_t> pub_places_;  // those that are not 0
  std::span<const IpAddress> peers_all_;   // empty: not worth it
  std::vector<const Origin*> origins_;     // interned
  std::vector<std::string_view> vpc_ids_;  // likewise

  What failed_ = What::kNothing;
  ColumnId failed_column_{};
  std::string why_;
};

class FrameDecoder {
 public:
  // Adds all records of a frame to `out`, in the order of their ordinals. session_id is derived.
  // Shape:  `frame` is exactly one frame.
  // Errors: kMalformed, saying what; kUnavailable for a newer version or required feature. `out` is then
  //         unchanged. Never a wrong record: checksums go first.
  Result<void> decode(std::span<const std::byte> frame, RecordBlock& out, Peers peers = nullptr);

 private:
  FrameColumns columns_;
};

}  // namespace natsession
