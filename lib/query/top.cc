#include "query/top.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>

#include "query/group.h"
#include "query/ready_sums.h"

namespace natsession {
namespace {

constexpr unsigned kMaxParts = 256;

// One reading of the ledger, for the groups of one part.
class Pass {
 public:
  Pass(const TopQuestion& question, const ScanControl& control) : question_(question), control_(control) {}

  // False if there are too many groups: it has to be done in more parts.
  bool run(const LogStore& ledger, const Query& query, unsigned parts, unsigned part);

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

  void make_workers(unsigned parts, unsigned part);
  bool add_ready(const LogStore& ledger, const ReadySums& ready, unsigned parts, unsigned part, Query& rest);
  bool add_groups(RemoteLog& log, const Query& query, unsigned parts, unsigned part, Query& rest);
  bool add(const ScanBatch& batch, Worker& worker);
  bool merge(unsigned parts, unsigned part);

  const TopQuestion& question_;
  const ScanControl& control_;
  std::vector<Worker> workers_;
  std::optional<GroupTable> merged_;
  std::string note_;
  ScanReport report_;
  Result<void> error_;
};

bool Pass::run(const LogStore& ledger, const Query& query, unsigned parts, unsigned part) {
  make_workers(parts, part);
  Query rest = query;
  // Sums do not say whose they are.
  const bool added_up = question_.all_sums && !control_.from_records && question_.names.names == nullptr;
  auto ready = added_up ? ReadySums::by_end(query, question_.by) : std::optional<ReadySums>();
  if (ready) ready->add_up_periods();
  if (ready && !add_ready(ledger, *ready, parts, part, rest)) return false;
  if (added_up && !ready && ledger.remote() != nullptr &&
      !add_groups(*ledger.remote(), query, parts, part, rest))
    return false;
  Scan scan(ledger, rest, control_);
  std::atomic<bool> full = false;
  scan.run([&](unsigned number, const ScanBatch& batch) {
    if (full.load(std::memory_order_relaxed)) return;
    if (!add(batch, workers_[number])) {
      full = true;
      scan.give_up();
    }
  });
  report_ = scan.report();
  report_.note = note_;
  error_ = scan.error();
  return !full && merge(parts, part);
}

void Pass::make_workers(unsigned parts, unsigned part) {
  workers_.clear();
  const unsigned threads = Scan::threads_of(control_);
  const std::size_t room = std::max<std::size_t>(1, question_.max_groups / threads);
  for (unsigned i = 0; i < threads; ++i)
    workers_.emplace_back(GroupTable(room, parts, part), KeyMaker(question_.by, question_.names));
}

// Adds what sums tell, and leaves to `rest` what they do not. False as run().
bool Pass::add_ready(const LogStore& ledger, const ReadySums& ready, unsigned parts, unsigned part,
                     Query& rest) {
  const bool by_address = !question_.by.empty() && kind_of(question_.by[0]) == FieldKind::kAddress;
  const auto key_of = [&](const SumsEntry& entry) {
    GroupKey key;
    if (by_address) {
      key.set_address(0, entry.key.address());
    } else if (!question_.by.empty()) {
      key.set_number(0, entry.key.protocol());
    }
    return key;
  };
  std::atomic<bool> full = false;
  rest.ready = ready.read(
      ledger, control_,
      [&](unsigned worker, SumsKind, std::span<const SumsEntry> entries) {
        constexpr std::size_t kAhead = 8;
        GroupTable& table = workers_[worker].table;
        for (std::size_t i = 0; i < entries.size(); ++i) {
          if (i + kAhead < entries.size()) table.expect(key_of(entries[i + kAhead]).hash());
          const std::uint32_t place = table.place_of(key_of(entries[i]));
          if (place == GroupTable::kFull) full = true;
          if (place < GroupTable::kElsewhere) table.sums(place).add(entries[i].sums);
        }
      },
      note_);
  if (!rest.ready) {
    make_workers(parts, part);
    return true;
  }
  return !full;
}

// Likewise, of a store elsewhere that groups by itself: all of it, or nothing.
bool Pass::add_groups(RemoteLog& log, const Query& query, unsigned parts, unsigned part, Query& rest) {
  Worker& worker = workers_[0];
  bool full = false;
  const bool told = log.groups(query, question_.by, [&](const SessionRecord& key, const Sums& sums) {
    const std::uint32_t place = worker.table.place_of(worker.keys.key_of(key));
    full = full || place == GroupTable::kFull;
    if (place < GroupTable::kElsewhere) worker.table.sums(place).add(sums);
    return !full && !control_.cancelled();
  });
  if (full) return false;
  if (told) {
    rest.ready = std::make_shared<ReadyPart>(ReadyPart{query.end, {}});
  } else {
    make_workers(parts, part);
  }
  return true;
}

bool Pass::add(const ScanBatch& batch, Worker& worker) {
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
  const auto seqs = batch.counters(Field::kSeq);
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
    if (!seqs.empty() && is_first(seqs[rows[i]])) ++sums.sessions;
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

Result<TopResult> find_top(const LogStore& ledger, const TopQuestion& question, const ScanControl& control) {
  if (auto good = check(question); !good) return good.error();
  const KeyMaker keys(question.by, question.names);
  Query query = question.query;
  query.gap_records = false;
  query.columns = keys.columns();
  for (const CounterSum& counter : kCounterSums) {
    if (question.all_sums || question.sum == counter.own || question.sum == counter.both) {
      query.columns.add(counter.field);
    }
  }
  if (question.all_sums || question.sum == SumField::kSessions) query.columns.add(Field::kSeq);
  for (unsigned parts = 1; parts <= kMaxParts; parts *= 4) {
    TopResult result;
    result.passes = 0;
    bool fits = true;
    for (unsigned part = 0; part < parts && fits && !result.report.cancelled; ++part) {
      Pass pass(question, control);
      fits = pass.run(ledger, query, parts, part);
      if (!pass.error()) return pass.error().error();
      if (!fits) break;
      keep_largest(pass.groups(), keys, question, result);
      // Each pass tells the same; but what vanished on the way is told by the later ones.
      if (part == 0 || pass.report().trouble_count > result.report.trouble_count || pass.report().cancelled) {
        result.report = pass.report();
      }
      ++result.passes;
    }
    if (fits) return result;
  }
  return Error{ErrorKind::kUsage, "there are too many groups: choose a shorter time or fewer fields"};
}

}  // namespace natsession
