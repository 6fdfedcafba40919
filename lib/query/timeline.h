// Timeline: traffic by time, in buckets of equal length, and for the largest few of a field.
//
// A record's slice may be as long as a window, and all records of long sessions end at the window's boundary:
// counted where they end they would show a peak there that never was. So traffic is spread over the buckets
// that the slice touches, by how long it is in each; the sum stays the same to the byte. Spread::kAtEnd
// counts a record where it ends, as the cloud's SQL with date_trunc(unit, __time__) does. Sessions are
// counted in the bucket where they began (the start_time of their record with seq 0), records in the one
// where they end.
//
// Where buckets are whole minutes, and protocol is all that records are told apart by, most of it comes from
// sums that are ready (query/ready_sums.h).
//
// Threads: find_timeline() from any.
#pragma once

#include "query/group.h"
#include "query/log_store.h"
#include "query/scan.h"

namespace natsession {

enum class Spread : std::uint8_t { kOverSlice, kAtEnd };

struct TimelineQuestion {
  static constexpr std::size_t kMaxBuckets = 100'000;
  static constexpr std::size_t kMaxSeries = 100;

  UnixMs from, until;  // [from, until); `from` is where the first bucket begins
  std::chrono::milliseconds bucket{60'000};
  std::vector<FieldTest> where;
  std::optional<Field> by;                 // a series for each of its largest values
  GroupedNames names;                      // in place of `by`
  SumField sum = SumField::kBytesFromVpc;  // what the largest are chosen by
  std::size_t series = 8;                  // how many; the rest is one more
  Spread spread = Spread::kOverSlice;
};

struct TimelineSeries {
  GroupValue key;
  bool rest = false;          // all others together
  Sums total;                 // within [from, until)
  std::vector<Sums> buckets;  // a value for each
};

struct TimelineResult {
  UnixMs from;
  std::chrono::milliseconds bucket{};
  std::size_t buckets = 0;
  std::vector<TimelineSeries>
      series;  // the largest first, the rest (if there is any) last; without `by` the one series
  ScanReport report;
};

// With `by` the ledger is read twice, once for who is largest, unless it is a field of few values, as
// protocol.
// Errors: kUsage if there would be too many buckets, or for a field that cannot be; kIo, kPermission.
[[nodiscard]] Result<TimelineResult> find_timeline(const LogStore& ledger, const TimelineQuestion& question,
                                                   const ScanControl& control);

}  // namespace natsession
