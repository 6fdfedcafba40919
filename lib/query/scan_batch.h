// What a scan hands on: batches of rows with their columns, and what an answer must say beside the answer.
// Threads: one for each object.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/frame_columns.h"
#include "ledger/frame_encoder.h"
#include "query/query.h"
#include "record/session_record.h"

namespace natsession {

// ScanReport: what an answer must say beside the answer: where the ledger could not be read, and where the
// log itself says that it is incomplete.

enum class TroubleKind : std::uint8_t {
  kDamaged,   // a frame or a part of a segment cannot be read
  kNewer,     // a newer program wrote it
  kVanished,  // a segment was deleted (retention) before it was read
};
[[nodiscard]] std::string_view to_string(TroubleKind kind);  // damaged, newer, vanished

// Something in the ledger that could not be read, and that may have held an answer.
struct Trouble {
  TroubleKind kind = TroubleKind::kDamaged;
  TimeRange time;  // the uncertain time: records that ended in it may be missing; open where nothing tells
  std::uint64_t records = 0;  // how many; 0 if that is not known
  std::string why;            // for people: which file, where, what
  friend bool operator==(const Trouble&, const Trouble&) = default;
};

// A gap record whose time overlaps the question's.
struct KnownGap {
  UnixMs from, until;
  RecordReason reason = RecordReason::kNone;
  Count events_lost;
  std::string instance;
  std::string netns;
  friend bool operator==(const KnownGap&, const KnownGap&) = default;
};

// One beyond those that are told: what it takes to count it once, and to see which question's time it meets.
struct UntoldGap {
  UnixMs from, until;
  std::uint64_t rest = 0;  // a hash of what else a gap has
  friend auto operator<=>(const UntoldGap&, const UntoldGap&) = default;
};

struct ScanReport {
  static constexpr std::size_t kMaxTold = 1000;         // of troubles and of gaps; all are counted
  static constexpr std::size_t kMaxUntold = 1'000'000;  // then the last stands for all further ones

  std::vector<Trouble> troubles;  // in the order of their times
  std::uint64_t trouble_count = 0;
  std::vector<KnownGap> gaps;  // likewise
  std::uint64_t gap_count = 0;
  std::vector<UntoldGap> untold_gaps;
  std::string missing;  // what is not proved to be there of the time asked for; empty: nothing
  std::optional<UnixMs> covered_until;  // all that ended before is recorded, as far as is proved
  std::string note;  // for people: what the answer does not lack, but took longer for; empty: nothing

  std::uint64_t segments = 0;        // that were looked into
  std::uint64_t frames_skipped = 0;  // by their times alone
  std::uint64_t frames_read = 0;
  std::uint64_t records_read = 0;  // in these frames
  std::uint64_t rows = 0;          // records that passed
  bool cancelled = false;

  [[nodiscard]] bool complete() const {
    return trouble_count == 0 && gap_count == 0 && missing.empty() && !cancelled;
  }
  void add(KnownGap gap);
  // Adds what another scan for the same answer found; what both tell is told once.
  void merge(const ScanReport& other);
  void sort();

 private:
  void add_untold(const UntoldGap& gap);
  void merge_gaps(const ScanReport& other);
};

// ScanBatch: the records of one frame that passed a query's tests, as columns. Only what the query named in
// Query::columns is there; asking for anything else gives an empty column.
//
//   const AddressColumn& hosts = batch.addresses(Field::kPriIp);
//   for (std::uint32_t row : batch.rows()) use(hosts.distinct[hosts.index[row]], batch.counters(…)[row]);
//   for (std::size_t i = 0; i < batch.size(); ++i) use(batch.record(i));      // all fields at once
//
// Threads: one at a time.
class ScanBatch {
 public:
  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  [[nodiscard]] const FrameInfo& frame() const { return columns_.info(); }
  // Whether it is of a segment in Query::ready: what ends within ready->end is not among its rows.
  [[nodiscard]] bool of_ready_segment() const { return of_ready_segment_; }

  // Which records of the frame passed: indexes into the columns below, which have a value for each of the
  // frame's records. From Scan::next() in the order of their ordinals, from Scan::run() in the frame's, by
  // host.
  [[nodiscard]] std::span<const std::uint32_t> rows() const { return rows_; }

  // Fields that are columns of their own, by how they are stored (record/fields.h).
  [[nodiscard]] const AddressColumn& addresses(Field field) const { return addresses_[at(field)]; }
  [[nodiscard]] std::span<const std::uint16_t> ports(Field field) const { return ports_[at(field)]; }
  // ms since 1970, or kUnknownTime
  [[nodiscard]] std::span<const std::int64_t> times(Field field) const { return times_[at(field)]; }
  // or kUnknownCount; seq, too
  [[nodiscard]] std::span<const std::uint64_t> counters(Field field) const { return counters_[at(field)]; }
  [[nodiscard]] std::span<const std::uint8_t> small(Field field) const { return small_[at(field)]; }

  // The i-th record that passed, whole: if Query::columns names one of the other fields
  // (fields_of_records()), else null.
  [[nodiscard]] const SessionRecord* record(std::size_t i) const {
    return has_records_ ? &block_.records[i] : nullptr;
  }
  // Empty, or one for each of rows().
  [[nodiscard]] std::span<const SessionRecord> records() const {
    return std::span(block_.records).first(has_records_ ? block_.records.size() : 0);
  }

  // Whether the i-th is a gap record: fields that a gap does not have mean nothing then. Query::gap_records.
  [[nodiscard]] bool is_gap(std::size_t i) const;
  [[nodiscard]] bool may_have_gaps() const { return !gap_rows_.empty(); }  // whether any is one
  // Of the i-th; decoded when it is first asked for. Where that column is damaged, a number above all
  // ordinals that no other record has.
  [[nodiscard]] Ordinal ordinal(std::size_t i) const;

  // Adds the records at some of rows() to `out`, whatever Query::columns names. Slow: decodes all columns.
  // Errors: kMalformed if a column is damaged.
  Result<void> materialise(std::span<const std::uint32_t> rows, RecordBlock& out) const {
    auto made = columns_.materialise(rows, out);
    columns_.want(rows_);  // as what is asked for next
    return made;
  }

  // What to tell when materialise() failed: the frame, its times, and why.
  [[nodiscard]] Trouble damage(const Error& error) const;

  // The fields that only record() has.
  [[nodiscard]] static Columns fields_of_records();

 private:
  friend class FrameFilter;  // chooses the rows
  friend class Scan;         // fills it

  template <typename T>
  using ByField = std::array<T, kAllFields>;
  [[nodiscard]] static constexpr std::size_t at(Field field) { return static_cast<std::size_t>(field); }

  // Makes a frame of records that have none, and opens it.
  Result<void> open(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals);
  // Decodes the columns that the consumer wants.
  Result<void> load(const Query& query);
  void clear();

  std::unique_ptr<FrameEncoder> encoder_;  // of open(); likewise
  std::string frame_;
  mutable FrameColumns columns_;  // decodes what is asked for
  bool of_ready_segment_ = false;
  bool in_order_ = false;  // rows are wanted in the order of their ordinals
  std::vector<std::uint32_t> rows_;
  RecordBlock block_;  // a record for each row, if has_records_
  bool has_records_ = false;
  std::vector<std::uint32_t> gap_rows_;  // ascending; those of rows_ that are gap records are among them

  // The columns that were asked for.
  ByField<AddressColumn> addresses_;
  ByField<std::span<const std::uint16_t>> ports_;
  ByField<std::span<const std::int64_t>> times_;
  ByField<std::span<const std::uint64_t>> counters_;
  ByField<std::span<const std::uint8_t>> small_;

  std::vector<std::uint8_t> marks_;                             // scratch: of each different address
  std::map<std::ptrdiff_t, FrameColumns::PubMarks> pub_marks_;  // of each test of pub_ip
};

}  // namespace natsession
