// Top: who has the most. Groups the records of a question by up to two fields and returns the largest groups,
// exactly, in bounded memory: where there are more groups than fit, the ledger is read again for each part of
// them. By pri_ip, pub_ip or nat_ip alone whole hours come from sums that are ready (query/ready_sums.h), by
// protocol, or not grouped at all, whole minutes. A store elsewhere groups by any fields, where it can
// exactly.
//
//   TopQuestion question;
//   question.query = Query::ended_within(from, until);
//   question.by = {Field::kPriIp};
//   question.sum = SumField::kBytesFromVpc;
//   auto result = find_top(*ledger, question, {});
//
// Threads: find_top() from any; it uses ScanControl::threads of its own.
#pragma once

#include "query/group.h"
#include "query/log_store.h"
#include "query/scan.h"

namespace natsession {

struct TopQuestion {
  static constexpr std::size_t kMaxCount = 100'000;

  Query query;            // its columns are set by find_top()
  std::vector<Field> by;  // 0 to kMaxGroupFields; not times, counters or seq
  GroupedNames names;     // in place of one of `by`
  SumField sum = SumField::kBytesFromVpc;
  std::size_t count = 10;  // up to kMaxCount
  bool all_sums = true;    // false: only `sum` and records are summed up, and the answer comes sooner
  std::size_t max_groups = 1'000'000;  // in memory at once
};

struct TopGroup {
  std::vector<GroupValue> key;  // as TopQuestion::by
  Sums sums;
};

struct TopResult {
  std::vector<TopGroup> groups;  // the largest first; of the same size, by key
  Sums total;                    // of all groups
  std::uint64_t group_count = 0;
  unsigned passes = 1;  // how often the ledger was read
  ScanReport report;
};

// Errors: kUsage for fields or a count that cannot be; kIo, kPermission.
[[nodiscard]] Result<TopResult> find_top(const LogStore& ledger, const TopQuestion& question,
                                         const ScanControl& control);

}  // namespace natsession
