// SegmentSummer: sums up the records of a segment, frame by frame, for the file that stands beside it
// (segment_sums.h). The sealer gives it the frames that it writes; SumsMaker those of a segment that is
// sealed already.
// Threads: one for each object.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/frame_columns.h"
#include "ledger/segment_list.h"
#include "ledger/segment_sums.h"

namespace natsession {

// Entries by period and key, in a hash table.
// Threads: one.
class SumsTable {
 public:
  // So many at once, 22 MB; then they are packed, and the table begins anew.
  static constexpr std::size_t kMaxEntries = std::size_t{1} << 18;

  SumsTable() : slots_(kFirstSlots) {}

  // Good until the next call. The table is not full.
  [[nodiscard]] Sums& at(std::int64_t period, const SumsKey& key);
  [[nodiscard]] bool full() const { return entries_.size() == kMaxEntries; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  // All of them, in their order; none is left.
  [[nodiscard]] std::vector<SumsEntry> take();

  // Says that these will be asked for soon, the entry sooner: what it takes may come from memory meanwhile.
  void expect_slot(std::int64_t period, const SumsKey& key) const {
    __builtin_prefetch(&slots_[hash(period, key) & (slots_.size() - 1)]);
  }
  void expect_entry(std::int64_t period, const SumsKey& key) const {
    const std::uint32_t place = slots_[hash(period, key) & (slots_.size() - 1)];
    if (place == 0) return;
    __builtin_prefetch(&entries_[place - 1]);
    __builtin_prefetch(&entries_[place - 1].sums.records);
  }

 private:
  static constexpr std::size_t kFirstSlots = 1024;

  [[nodiscard]] static std::uint64_t hash(std::int64_t period, const SumsKey& key) {
    std::uint64_t hash = key.low * 0x9e3779b97f4a7c15 ^ key.high * 0xd6e8feb86659fd93;
    hash += static_cast<std::uint64_t>(period) * 0xa0761d6478bd642f;
    return hash ^ (hash >> 32);
  }
  void grow();

  std::vector<SumsEntry> entries_;
  std::vector<std::uint32_t> slots_;  // place + 1, or 0
};

class SegmentSummer {
 public:
  // A kind with more entries than one for so many records is left out: the records answer as soon.
  static constexpr std::uint64_t kRecordsForEntry = 8;
  // A record that was spread over more would take longer than it is worth: there are no sums by minutes then.
  static constexpr std::int64_t kMostMinutes = 32 * 24 * 60;

  // `records`: so many the segment has.
  explicit SegmentSummer(std::uint64_t records) : most_entries_(records / kRecordsForEntry) {}

  // Takes the records of one frame. If it cannot be read, the file will have no sums: what is missing the
  // records alone can tell.
  void add(FrameColumns& frame);
  // Likewise of records that are in no frame.
  void spoil() { spoiled_ = true; }

  // The file's bytes; for the segment that `mark` names. The object is of no more use.
  [[nodiscard]] std::string finish(const SumsMark& mark);

 private:
  // One kind: what has not been packed, and what has; left out: nothing of it is kept.
  struct Kind {
    SumsTable table;
    std::uint64_t entries = 0;  // that were packed
    std::string section;
    bool left_out = false;
  };
  // What the rows of one frame and period come to, by the place of their address in the frame.
  struct Dense {
    std::vector<Sums> sums;
    std::vector<std::uint16_t> touched;
  };
  // Most records lie within the newest minutes: these are found without a hash.
  static constexpr std::int64_t kWindow = 32;
  using Window = std::array<Sums, kWindow>;
  static constexpr std::size_t kAddressKinds = 3;
  struct Columns {
    std::span<const std::int64_t> starts, ends;
    std::span<const std::uint64_t> seqs;
    std::array<std::span<const std::uint64_t>, kCounterSums.size()> counters;
    std::span<const std::uint8_t> events, protocols;
    std::span<const std::uint64_t> flows;  // may be empty
    std::array<AddressColumn, kAddressKinds> addresses;
  };

  static Result<Columns> columns_of(FrameColumns& frame);
  Result<void> note_gaps(FrameColumns& frame, std::span<const std::uint8_t> events);
  void add_rows(const Columns& columns);
  void flush_hour(const Columns& columns);
  void flush_minute();
  void add_spread(std::int64_t start, std::int64_t end, std::uint8_t protocol, const Sums& sums);
  void add_minute(std::int64_t minute, std::uint8_t protocol, const Sums& sums);
  void flush_window();
  [[nodiscard]] Kind& kind(SumsKind which) { return kinds_[static_cast<std::size_t>(which) - 1]; }
  [[nodiscard]] Sums* at(Kind& kind, std::int64_t period, const SumsKey& key);
  void pack(Kind& kind);
  void leave_out(Kind& kind);

  std::uint64_t most_entries_;  // of each kind

  std::array<Kind, kSumsKinds.size()> kinds_;
  std::array<Dense, kAddressKinds> dense_;
  std::int64_t hour_ = 0;
  std::array<Sums, 256> minute_sums_;  // by protocol, of minute_
  std::vector<std::uint8_t> minute_touched_;
  std::int64_t minute_ = 0;
  std::int64_t window_ = 0;                               // the first of the minutes that
  std::array<std::unique_ptr<Window>, 256> window_sums_;  // are kept apart, by protocol
  SumsPacker packer_;
  std::vector<Ordinal> gaps_;
  bool spoiled_ = false;
};

// Writes the file, under another name first. It is not flushed: what a fall of the machine damages is made
// anew.
// Errors: kPermission, kIo.
[[nodiscard]] Result<void> write_sums(const LedgerDirectory& directory, Ordinal first,
                                      std::string_view bytes);

// Makes the file of a segment that is sealed.
// Threads: one.
class SumsMaker {
 public:
  // `segment` is settled. `directory` outlives the maker.
  // Errors: kUnavailable if it is not there any more; kMalformed, kPermission, kIo.
  [[nodiscard]] static Result<std::unique_ptr<SumsMaker>> begin(const LedgerDirectory& directory,
                                                                const SegmentEntry& segment);

  enum class Progress { kMore, kDone };
  // At most a frame. After an error it is of no more use.
  // Errors: kPermission, kIo.
  [[nodiscard]] Result<Progress> step();
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // of the file, when it is done

 private:
  SumsMaker(const LedgerDirectory& directory, std::shared_ptr<const SegmentFile> file, SumsMark mark,
            SegmentFrames frames);

  const LedgerDirectory& directory_;
  std::shared_ptr<const SegmentFile> file_;
  SumsMark mark_;
  SegmentFrames frames_;
  std::size_t next_ = 0;
  SegmentSummer summer_;
  FrameColumns columns_;
  std::vector<std::byte> frame_;
  std::uint64_t bytes_ = 0;
};

}  // namespace natsession
