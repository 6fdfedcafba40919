#include "query/timeline.h"

#include <algorithm>

#include "query/group.h"
#include "query/top.h"

namespace natsession {
namespace {

// A cell is a bucket of a series; each worker has all of them.
constexpr std::size_t kMaxCells = 250'000;

// Where the buckets are. Times are ms since 1970, of any record: nothing here may overflow.
class Grid {
 public:
  Grid(const TimelineQuestion& question, std::size_t buckets)
      : from_(question.from.time_since_epoch().count()),
        until_(question.until.time_since_epoch().count()),
        length_(question.bucket.count()),
        buckets_(buckets) {}

  [[nodiscard]] std::size_t buckets() const { return buckets_; }
  [[nodiscard]] bool contains(std::int64_t time) const { return time >= from_ && time < until_; }
  [[nodiscard]] std::size_t bucket_of(std::int64_t time) const {  // a time that it contains
    return static_cast<std::size_t>((time - from_) / length_);
  }

  // Calls put(bucket, share) for what of `value` lies in each bucket, if it is spread evenly over [start,
  // end).
  template <typename Put>
  void spread(std::uint64_t value, std::int64_t start, std::int64_t end, Put put) const {
    const std::int64_t begin = std::max(start, from_);
    const std::int64_t limit = std::min(end, until_);
    if (begin >= limit) return;
    const std::size_t first = bucket_of(begin);
    const std::size_t last = bucket_of(limit - 1);
    // What lies before a moment is rounded down, so the shares of all moments add up to the value.
    const auto before = [&](std::int64_t moment) {
      const auto part = static_cast<std::uint64_t>(moment) - static_cast<std::uint64_t>(start);
      const auto whole = static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(start);
      return static_cast<std::uint64_t>(static_cast<Wide>(value) * part / whole);
    };
    std::uint64_t done = before(begin);
    for (std::size_t bucket = first; bucket <= last; ++bucket) {
      const std::int64_t behind = from_ + static_cast<std::int64_t>(bucket + 1) * length_;
      const std::uint64_t upto = before(std::min(limit, behind));
      put(bucket, upto - done);
      done = upto;
    }
  }

 private:
  __extension__ using Wide = unsigned __int128;
  std::int64_t from_;
  std::int64_t until_;
  std::int64_t length_;
  std::size_t buckets_;
};

class Chart {
 public:
  Chart(const TimelineQuestion& question, const Grid& grid, KeyMaker keys, GroupTable table)
      : question_(&question), grid_(&grid), keys_(std::move(keys)), table_(std::move(table)) {
    cells_.resize((table_.size() + 1) * grid.buckets());
  }

  void add(const ScanBatch& batch);
  void add(const Chart& other) {
    for (std::size_t i = 0; i < cells_.size(); ++i) cells_[i].add(other.cells_[i]);
  }
  [[nodiscard]] std::span<const Sums> series(std::size_t place) const {
    return std::span(cells_).subspan(place * grid_->buckets(), grid_->buckets());
  }

 private:
  void add_counter(const ScanBatch& batch, Field field, std::uint64_t Sums::*sum);
  [[nodiscard]] Sums* cells_of(std::size_t i) {
    const std::size_t place = std::min<std::size_t>(groups_[i], table_.size());  // kFull: the rest
    return cells_.data() + place * grid_->buckets();
  }

  const TimelineQuestion* question_;
  const Grid* grid_;
  KeyMaker keys_;
  GroupTable table_;
  std::vector<Sums> cells_;
  std::vector<std::uint32_t> groups_;
};

void Chart::add(const ScanBatch& batch) {
  if (question_->by) {
    keys_.find_groups(batch, table_, groups_);
  } else {
    groups_.assign(batch.size(), 0);
  }
  for (const CounterSum& counter : kCounterSums) add_counter(batch, counter.field, counter.sum);

  const auto rows = batch.rows();
  const auto starts = batch.times(Field::kStartTime);
  const auto ends = batch.times(Field::kEndTime);
  const auto begins = batch.times(Field::kSessionStart);
  const auto seqs = batch.counters(Field::kSeq);
  const auto bytes = batch.counters(Field::kBytesFromVpc);
  const auto bytes_back = batch.counters(Field::kBytesFromPub);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint32_t row = rows[i];
    Sums* const cells = cells_of(i);
    if (grid_->contains(ends[row])) {
      Sums& cell = cells[grid_->bucket_of(ends[row])];
      ++cell.records;
      if (bytes[row] == kUnknownCount || bytes_back[row] == kUnknownCount) ++cell.unknown;
    }
    const std::int64_t begin = begins[row] != kUnknownTime ? begins[row] : starts[row];
    if (is_first(seqs[row]) && grid_->contains(begin)) ++cells[grid_->bucket_of(begin)].sessions;
  }
}

void Chart::add_counter(const ScanBatch& batch, Field field, std::uint64_t Sums::*sum) {
  const auto rows = batch.rows();
  const auto column = batch.counters(field);
  const auto starts = batch.times(Field::kStartTime);
  const auto ends = batch.times(Field::kEndTime);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint32_t row = rows[i];
    const std::uint64_t value = column[row];
    if (value == kUnknownCount || value == 0) continue;
    Sums* const cells = cells_of(i);
    const auto put = [&](std::size_t bucket, std::uint64_t share) {
      cells[bucket].*sum = sum_of(cells[bucket].*sum, share);
    };
    if (question_->spread == Spread::kAtEnd || starts[row] >= ends[row]) {
      if (grid_->contains(ends[row])) put(grid_->bucket_of(ends[row]), value);
    } else {
      grid_->spread(value, starts[row], ends[row], put);
    }
  }
}

Result<std::size_t> count_buckets(const TimelineQuestion& question) {
  const auto usage = [](std::string what) { return Error{ErrorKind::kUsage, std::move(what)}; };
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 366 * 100);
  if (question.bucket.count() <= 0 || question.bucket > kLongest)
    return usage("a bucket's length must be more than 0");
  const auto since = question.from.time_since_epoch();
  const auto till = question.until.time_since_epoch();
  if (since >= till) return usage("the time begins at or behind its end");
  if (since < -kLongest || till > kLongest * 10 || till - since > kLongest)
    return usage("the time is too long");
  const auto buckets = static_cast<std::size_t>(
      (till - since + question.bucket - std::chrono::milliseconds(1)) / question.bucket);
  const std::size_t series = question.by ? question.series + 1 : 1;
  if (question.series > TimelineQuestion::kMaxSeries) {
    return usage("at most " + std::to_string(TimelineQuestion::kMaxSeries) + " series");
  }
  if (buckets > TimelineQuestion::kMaxBuckets || buckets * series > kMaxCells) {
    return usage(std::to_string(buckets) + " buckets for " + std::to_string(series) +
                 " series are too many: choose longer ones or a shorter time");
  }
  return buckets;
}

// The values of `by` with the largest sums: some more than are wanted, as those of records at the borders are
// cut later.
Result<std::vector<TopGroup>> find_series(const SegmentList& ledger, const TimelineQuestion& question,
                                          const Query& query, const ScanControl& control) {
  TopQuestion top;
  top.query = query;
  top.by = {*question.by};
  top.sum = question.sum;
  top.count = question.series * 2;
  top.all_sums = false;
  auto found = find_top(ledger, top, control);
  if (!found) return found.error();
  return std::move(found->groups);
}

}  // namespace

Result<TimelineResult> find_timeline(const SegmentList& ledger, const TimelineQuestion& question,
                                     const ScanControl& control) {
  const auto buckets = count_buckets(question);
  if (!buckets) return buckets.error();
  const Grid grid(question, *buckets);
  Query query = Query::overlapping(question.from, question.until - std::chrono::milliseconds(1));
  query.where = question.where;

  KeyMaker keys(question.by ? std::vector<Field>{*question.by} : std::vector<Field>());
  std::vector<TopGroup> wanted;
  if (question.by) {
    auto found = find_series(ledger, question, query, control);
    if (!found) return found.error();
    wanted = std::move(*found);
    if ((wanted.size() + 1) * *buckets > kMaxCells) wanted.resize(question.series);
  }
  const auto make_table = [&] {
    GroupTable table(std::max<std::size_t>(1, wanted.size()), 1, 0);
    for (const TopGroup& group : wanted) static_cast<void>(table.place_of(keys.key_of(group.key)));
    table.set_limit(wanted.size());
    return table;
  };

  query.columns = keys.columns();
  for (const CounterSum& counter : kCounterSums) query.columns.add(counter.field);
  query.columns.add({Field::kStartTime, Field::kEndTime, Field::kSessionStart, Field::kSeq});
  Scan scan(ledger, query, control);
  std::vector<Chart> charts;
  for (unsigned i = 0; i < scan.threads(); ++i) charts.emplace_back(question, grid, keys, make_table());
  scan.run([&](unsigned worker, const ScanBatch& batch) { charts[worker].add(batch); });
  if (auto good = scan.error(); !good) return good.error();
  for (std::size_t i = 1; i < charts.size(); ++i) charts[0].add(charts[i]);

  TimelineResult result{question.from, question.bucket, *buckets, {}, scan.report()};
  for (std::size_t place = 0; place <= wanted.size(); ++place) {
    TimelineSeries series;
    series.rest = question.by && place == wanted.size();
    if (!series.rest && question.by) series.key = wanted[place].key[0];
    const auto cells = charts[0].series(place);
    series.buckets.assign(cells.begin(), cells.end());
    for (const Sums& cell : cells) series.total.add(cell);
    result.series.push_back(std::move(series));
  }
  if (!question.by) return result;

  const auto larger = [&](const TimelineSeries& a, const TimelineSeries& b) {
    const std::uint64_t of_a = a.total.of(question.sum);
    const std::uint64_t of_b = b.total.of(question.sum);
    return of_a != of_b ? of_a > of_b : a.key < b.key;
  };
  std::sort(result.series.begin(), result.series.end() - 1, larger);
  while (result.series.size() > question.series + 1) {
    TimelineSeries& rest = result.series.back();
    const TimelineSeries& least = *(result.series.end() - 2);
    for (std::size_t bucket = 0; bucket < *buckets; ++bucket) rest.buckets[bucket].add(least.buckets[bucket]);
    rest.total.add(least.total);
    result.series.erase(result.series.end() - 2);
  }
  const auto empty = [](const TimelineSeries& series) { return series.total == Sums(); };
  std::erase_if(result.series, empty);
  return result;
}

}  // namespace natsession
