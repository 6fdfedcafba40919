#include "query/top.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>

#include "query/group.h"

namespace natsession {
namespace {

constexpr unsigned kMaxParts = 256;

// One reading of the ledger, for the groups of one part.
class Pass {
 public:
  Pass(const TopQuestion& question, const ScanControl& control) : question_(question), control_(control) {}

  // False if there are too many groups: it has to be done in more parts.
  bool run(const SegmentList& ledger, const Query& query, unsigned parts, unsigned part,
           SessionCounter& sessions);

  [[nodiscard]] GroupTable& groups() { return *merged_; }
  [[nodiscard]] const ScanReport& report() const { return report_; }
  [[nodiscard]] const Result<void>& error() const { return error_; }

 private:
  struct Worker {
    Worker(GroupTable owned, KeyMaker maker) : table(std::move(owned)), keys(std::move(maker)) {}
    GroupTable table;
    KeyMaker keys;
    std::vector<std::uint32_t> groups;
  };

  bool add(const ScanBatch& batch, Worker& worker, SessionCounter& sessions);
  bool merge(unsigned parts, unsigned part);

  const TopQuestion& question_;
  const ScanControl& control_;
  std::vector<Worker> workers_;
  std::optional<GroupTable> merged_;
  ScanReport report_;
  Result<void> error_;
};

bool Pass::run(const SegmentList& ledger, const Query& query, unsigned parts, unsigned part,
               SessionCounter& sessions) {
  Scan scan(ledger, query, control_);
  workers_.clear();
  for (unsigned i = 0; i < scan.threads(); ++i) {
    const std::size_t room = std::max<std::size_t>(1, question_.max_groups / scan.threads());
    workers_.emplace_back(GroupTable(room, parts, part), KeyMaker(question_.by));
  }
  sessions.restart();
  std::atomic<bool> full = false;
  scan.run([&](unsigned number, const ScanBatch& batch) {
    if (full.load(std::memory_order_relaxed)) return;
    if (!add(batch, workers_[number], sessions)) {
      full = true;
      scan.give_up();
    }
  });
  report_ = scan.report();
  error_ = scan.error();
  return !full && merge(parts, part);
}

bool Pass::add(const ScanBatch& batch, Worker& worker, SessionCounter& sessions) {
  GroupTable& table = worker.table;
  std::vector<std::uint32_t>& groups = worker.groups;
  if (!worker.keys.find_groups(batch, table, groups)) return false;
  const auto rows = batch.rows();
  const auto wanted = [&](std::size_t i) { return groups[i] != GroupTable::kElsewhere; };
  struct Counter {
    std::span<const std::uint64_t> column;
    std::uint64_t Sums::*sum;
  };
  std::array<Counter, kCounterSums.size()> counters;
  std::size_t count = 0;
  for (const CounterSum& counter : kCounterSums) {
    const auto column = batch.counters(counter.field);
    if (!column.empty()) counters[count++] = {column, counter.sum};
  }
  // A record's group is touched once: groups do not fit into a processor's nearest memory.
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!wanted(i)) continue;
    Sums& sums = table.sums(groups[i]);
    bool unknown = false;
    for (const auto& [column, sum] : std::span(counters).first(count)) {
      const std::uint64_t value = column[rows[i]];
      if (value == kUnknownCount) {
        unknown = true;
        continue;
      }
      sums.*sum = sum_of(sums.*sum, value);
    }
    ++sums.records;
    if (unknown) ++sums.unknown;
  }
  if (!batch.counters(Field::kSeq).empty()) {
    sessions.count(batch, wanted, [&](std::size_t i) { ++table.sums(groups[i]).sessions; });
  }
  return true;
}

bool Pass::merge(unsigned parts, unsigned part) {
  merged_.emplace(std::move(workers_[0].table));
  merged_->set_limit(question_.max_groups);
  for (std::size_t i = 1; i < workers_.size(); ++i) {
    GroupTable& table = workers_[i].table;
    for (std::uint32_t place = 0; place < table.size(); ++place) {
      const std::uint32_t to = merged_->place_of(table.key(place));
      if (to == GroupTable::kFull) return false;
      merged_->sums(to).add(table.sums(place));
    }
    table = GroupTable(1, parts, part);
  }
  return true;
}

Result<void> check(const TopQuestion& question) {
  if (question.by.size() > kMaxGroupFields) {
    return Error{ErrorKind::kUsage, "at most " + std::to_string(kMaxGroupFields) + " fields can group"};
  }
  for (const Field field : question.by) {
    if (spec_of(field).groups) continue;
    return Error{ErrorKind::kUsage, "records cannot be grouped by " + std::string(name_of(field))};
  }
  if (question.count > TopQuestion::kMaxCount) {
    return Error{ErrorKind::kUsage,
                 "at most " + std::to_string(TopQuestion::kMaxCount) + " groups can be shown"};
  }
  return {};
}

// Keeps the largest groups of those that were found and those of one more pass.
void keep_largest(GroupTable& table, const KeyMaker& keys, const TopQuestion& question, TopResult& result) {
  std::vector<std::uint32_t> order(table.size());
  for (std::uint32_t place = 0; place < order.size(); ++place) {
    order[place] = place;
    result.total.add(table.sums(place));
  }
  result.group_count += table.size();
  if (question.count == 0) return;
  const auto value = [&](std::uint32_t place) { return table.sums(place).of(question.sum); };
  // All that are as large as the last one that is shown: which of them it is, their keys say.
  if (order.size() > question.count && question.count > 0) {
    const auto last = order.begin() + static_cast<std::ptrdiff_t>(question.count) - 1;
    std::nth_element(order.begin(), last, order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return value(a) > value(b); });
    const std::uint64_t least = value(*last);
    // Ties are without end where the sum is 0 in nearly all: some of them will do then.
    std::size_t ties = 0;
    order.erase(
        std::remove_if(order.begin(), order.end(),
                       [&](std::uint32_t place) {
                         return value(place) < least ||
                                (value(place) == least && ++ties > question.count + TopQuestion::kMaxCount);
                       }),
        order.end());
  }
  for (const std::uint32_t place : order) {
    result.groups.push_back({keys.values_of(table.key(place)), table.sums(place)});
  }
  std::sort(result.groups.begin(), result.groups.end(), [&](const TopGroup& a, const TopGroup& b) {
    const std::uint64_t of_a = a.sums.of(question.sum);
    const std::uint64_t of_b = b.sums.of(question.sum);
    return of_a != of_b ? of_a > of_b : a.key < b.key;
  });
  if (result.groups.size() > question.count) result.groups.resize(question.count);
}

}  // namespace

Result<TopResult> find_top(const SegmentList& ledger, const TopQuestion& question,
                           const ScanControl& control) {
  if (auto good = check(question); !good) return good.error();
  const KeyMaker keys(question.by);
  const bool count_sessions = question.all_sums || question.sum == SumField::kSessions;
  Query query = question.query;
  query.gap_records = false;
  query.columns = keys.columns();
  for (const CounterSum& counter : kCounterSums) {
    if (question.all_sums || question.sum == counter.own || question.sum == counter.both) {
      query.columns.add(counter.field);
    }
  }
  std::optional<UnixMs> oldest;
  if (count_sessions) {
    query.columns.add(SessionCounter::columns());
    const LedgerSpan span = ledger.span();
    if (span.records > 0) oldest = span.oldest_end;
  }
  for (unsigned parts = 1; parts <= kMaxParts; parts *= 4) {
    SessionCounter sessions(query, oldest);
    TopResult result;
    result.passes = 0;
    bool fits = true;
    for (unsigned part = 0; part < parts && fits && !result.report.cancelled; ++part) {
      Pass pass(question, control);
      fits = pass.run(ledger, query, parts, part, sessions);
      if (!pass.error()) return pass.error().error();
      if (!fits) break;
      keep_largest(pass.groups(), keys, question, result);
      // Each pass tells the same; but what vanished on the way is told by the later ones.
      if (part == 0 || pass.report().trouble_count > result.report.trouble_count || pass.report().cancelled) {
        result.report = pass.report();
      }
      ++result.passes;
    }
    result.sessions_cut = sessions.cut();
    result.report.merge(sessions.report());
    if (fits) return result;
  }
  return Error{ErrorKind::kUsage, "there are too many groups: choose a shorter time or fewer fields"};
}

}  // namespace natsession
