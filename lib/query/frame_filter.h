// FrameFilter: which records of a frame pass a query's tests. Tests go from those that cost least and leave
// least: addresses once for each different one in the frame, then ports and numbers of the records that are
// left, times only where the frame's bounds do not answer, and what needs whole records at the very end.
// Threads: any; what changes is in the batch.
#pragma once

#include <string>
#include <vector>

#include "query/query.h"
#include "query/scan_batch_state.h"

namespace natsession {

class FrameFilter {
 public:
  explicit FrameFilter(const Query& query);

  // Sets batch.rows, and batch.block if a test needed whole records: then it has one for each row. Records
  // with ordinals below `from` do not pass. Gap records go to `gaps` if their time meets the query's. Errors:
  // of the frame's columns.
  Result<void> select(Ordinal from, ScanBatch::State& batch, std::vector<KnownGap>& gaps) const;

 private:
  struct AddressTest {
    AddressField field;
    std::vector<IpAddress> exact;  // ascending
    std::vector<Prefix> prefixes;
    [[nodiscard]] bool passes(const IpAddress& address) const;
  };
  struct NumberTest {
    Field field;
    std::vector<NumberRange> ranges;  // ascending, apart
  };

  Result<bool> has_gaps(ScanBatch::State& batch) const;
  Result<void> sort_out_gaps(ScanBatch::State& batch, std::vector<KnownGap>& gaps) const;
  Result<void> test_addresses(const AddressTest& test, ScanBatch::State& batch) const;
  Result<void> test_numbers(const NumberTest& test, ScanBatch::State& batch) const;
  Result<void> test_times(ScanBatch::State& batch) const;
  Result<void> test_records(ScanBatch::State& batch) const;
  [[nodiscard]] bool passes(const FieldTest& test, const SessionRecord& record) const;

  TimeRange start_;
  TimeRange end_;
  bool gap_records_ = false;
  bool tests_sessions_ = false;  // a gap record passes no test of a session's field
  std::vector<AddressTest> addresses_;
  std::vector<NumberTest> numbers_;
  std::vector<FieldTest> late_;
};

}  // namespace natsession
