// FrameFilter: which records of a frame pass a query's tests. Tests go from those that cost least and leave
// least: addresses once for each different one in the frame, then ports and numbers of the records that are
// left, times only where the frame's bounds do not answer, and what needs whole records at the very end.
// Threads: any; what changes is in the batch.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "query/query.h"
#include "query/scan_batch.h"

namespace natsession {

class FrameFilter {
 public:
  explicit FrameFilter(const Query& query);

  // Sets the batch's rows, and its records if a test needed whole ones. Records with ordinals below `from` do
  // not pass, nor, where the batch is of a ready segment, those that Query::ready tells of. Gap records go to
  // `gaps` if their time meets the query's.
  // Errors: of the frame's columns.
  Result<void> select(Ordinal from, ScanBatch& batch, std::vector<KnownGap>& gaps) const;

  // The same of one record that is whole.
  [[nodiscard]] bool passes(const SessionRecord& record) const;

 private:
  // A FieldTest, in the order that looking needs.
  struct Test {
    explicit Test(const FieldTest& test);
    [[nodiscard]] bool passes(const IpAddress& address) const;
    // Narrows the two to between what may pass.
    void bound_by(IpAddress& lowest, IpAddress& highest) const;
    [[nodiscard]] bool passes(std::uint64_t number) const;
    [[nodiscard]] bool passes(const FieldValue& value) const;

    Field field;
    std::vector<IpAddress> addresses;  // ascending
    std::vector<Prefix> prefixes;
    std::vector<NumberRange> numbers;  // ascending, apart
    std::vector<std::string> texts;    // ascending
    std::optional<AddressBound> bound;
    bool excluded;
  };

  Result<void> find_hosts(ScanBatch& batch) const;
  Result<void> leave_flows(ScanBatch& batch) const;
  Result<bool> has_gaps(ScanBatch& batch) const;
  Result<void> sort_out_gaps(ScanBatch& batch, std::vector<KnownGap>& gaps) const;
  Result<void> test_addresses(const Test& test, ScanBatch& batch) const;
  Result<void> test_pub_ips(const Test& test, ScanBatch& batch) const;
  Result<void> test_numbers(const Test& test, ScanBatch& batch) const;
  Result<void> test_times(ScanBatch& batch) const;
  Result<void> leave_ready(ScanBatch& batch) const;
  Result<void> put_in_order(ScanBatch& batch) const;
  Result<void> test_records(ScanBatch& batch) const;

  TimeRange start_;
  TimeRange end_;
  std::shared_ptr<const ReadyPart> ready_;
  bool gap_records_ = false;
  bool flows_ = false;
  bool tests_sessions_ = false;  // a gap record passes no test of a session's field
  std::vector<Test> addresses_;  // of columns, those that cost least first; likewise
  std::vector<Test> numbers_;
  std::vector<Test> late_;  // of whole records
};

}  // namespace natsession
