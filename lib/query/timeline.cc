#include "query/timeline.h"

#include <algorithm>

#include "query/group.h"
#include "query/ready_sums.h"
#include "query/top.h"

namespace natsession {
namespace {

// A cell is a bucket of a series; each worker has all of them.
constexpr std::size_t kMaxCells = 250'000;

// So many values a field of one byte has: each may be a series.
constexpr std::size_t kFewValues = 256;

bool has_few_values(Field field) {
  return spec_of(field).stored == Stored::kSmall;
}

// Where the buckets are. Times are ms since 1970, of any record: nothing here may overflow.
class Grid {
 public:
  Grid(const TimelineQuestion& question, std::size_t buckets)
      : begin_(question.from.time_since_epoch().count()),
        from_(begin_),
        until_(question.until.time_since_epoch().count()),
        length_(question.bucket.count()),
        buckets_(buckets) {}
  // The same buckets; but what lies before `from` is not counted.
  [[nodiscard]] Grid since(UnixMs from) const {
    Grid grid = *this;
    grid.from_ = std::max(from_, std::int64_t{from.time_since_epoch().count()});
    return grid;
  }

  [[nodiscard]] std::size_t buckets() const { return buckets_; }
  [[nodiscard]] bool contains(std::int64_t time) const { return time >= from_ && time < until_; }
  [[nodiscard]] std::size_t bucket_of(std::int64_t time) const {  // a time that it contains
    return static_cast<std::size_t>((time - begin_) / length_);
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
    std::uint64_t done = share_before(value, start, end, begin);
    for (std::size_t bucket = first; bucket <= last; ++bucket) {
      const std::int64_t behind = begin_ + static_cast<std::int64_t>(bucket + 1) * length_;
      const std::uint64_t upto = share_before(value, start, end, std::min(limit, behind));
      put(bucket, upto - done);
      done = upto;
    }
  }

 private:
  std::int64_t begin_;
  std::int64_t from_;
  std::int64_t until_;
  std::int64_t length_;
  std::size_t buckets_;
};

// The sums of the series, bucket by bucket, and of the rest together.
class Chart {
 public:
  // `rest`: the grid for rows of segments whose sums are ready.
  Chart(const TimelineQuestion& question, const Grid& grid, const Grid& rest, KeyMaker keys, GroupTable table)
      : question_(&question),
        grid_(&grid),
        rest_grid_(&rest),
        keys_(std::move(keys)),
        table_(std::move(table)),
        rest_(grid.buckets()) {}

  void add(const ScanBatch& batch);
  // `key` is the value of the field that the series are of.
  void add(SumsKind kind, const SumsEntry& entry);
  void add(const Chart& other);

  // Of place i of the table, or of what is in none.
  [[nodiscard]] std::size_t size() const { return table_.size(); }
  [[nodiscard]] GroupValue value(std::uint32_t place) const {
    return keys_.values_of(table_.key(place)).front();
  }
  [[nodiscard]] std::vector<Sums>& series(std::size_t place) {
    if (series_.size() < table_.size()) series_.resize(table_.size());
    std::vector<Sums>& cells = series_[place];
    if (cells.empty()) cells.resize(grid_->buckets());
    return cells;
  }
  [[nodiscard]] std::vector<Sums>& rest() { return rest_; }

 private:
  void add_counter(const ScanBatch& batch, const Grid& grid, Field field, std::uint64_t Sums::*sum);
  [[nodiscard]] Sums* cells_at(std::uint32_t place) {  // kFull: the rest
    return place < table_.size() ? series(place).data() : rest_.data();
  }

  const TimelineQuestion* question_;
  const Grid* grid_;
  const Grid* rest_grid_;
  KeyMaker keys_;
  GroupTable table_;
  std::vector<std::vector<Sums>> series_;
  std::vector<Sums> rest_;
  std::vector<std::uint32_t> groups_;
};

void Chart::add(const ScanBatch& batch) {
  const Grid& grid = batch.of_ready_segment() ? *rest_grid_ : *grid_;
  if (question_->by) {
    keys_.find_groups(batch, table_, groups_);
  } else {
    groups_.assign(batch.size(), GroupTable::kFull);
  }
  for (const CounterSum& counter : kCounterSums) add_counter(batch, grid, counter.field, counter.sum);

  const auto rows = batch.rows();
  const auto starts = batch.times(Field::kStartTime);
  const auto ends = batch.times(Field::kEndTime);
  const auto seqs = batch.counters(Field::kSeq);
  const auto is_unknown = [&](std::uint32_t row) {
    return std::any_of(kCounterSums.begin(), kCounterSums.end(), [&](const CounterSum& counter) {
      return batch.counters(counter.field)[row] == kUnknownCount;
    });
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint32_t row = rows[i];
    Sums* const cells = cells_at(groups_[i]);
    if (grid.contains(ends[row])) {
      Sums& cell = cells[grid.bucket_of(ends[row])];
      ++cell.records;
      if (is_unknown(row)) ++cell.unknown;
    }
    if (is_first(seqs[row]) && grid.contains(starts[row])) ++cells[grid.bucket_of(starts[row])].sessions;
  }
}

void Chart::add_counter(const ScanBatch& batch, const Grid& grid, Field field, std::uint64_t Sums::*sum) {
  const auto rows = batch.rows();
  const auto column = batch.counters(field);
  const auto starts = batch.times(Field::kStartTime);
  const auto ends = batch.times(Field::kEndTime);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::uint32_t row = rows[i];
    const std::uint64_t value = column[row];
    if (value == kUnknownCount || value == 0) continue;
    Sums* const cells = cells_at(groups_[i]);
    const auto put = [&](std::size_t bucket, std::uint64_t share) {
      cells[bucket].*sum = sum_of(cells[bucket].*sum, share);
    };
    if (question_->spread == Spread::kAtEnd || starts[row] >= ends[row]) {
      if (grid.contains(ends[row])) put(grid.bucket_of(ends[row]), value);
    } else {
      grid.spread(value, starts[row], ends[row], put);
    }
  }
}

void Chart::add(SumsKind kind, const SumsEntry& entry) {
  const std::int64_t time = entry.period * length_of(kind).count();
  if (!grid_->contains(time)) return;
  std::uint32_t place = GroupTable::kFull;
  if (question_->by) {
    GroupKey key;
    key.set_number(0, entry.key.protocol());
    place = table_.place_of(key);
  }
  Sums& cell = cells_at(place)[grid_->bucket_of(time)];
  if (question_->spread == Spread::kAtEnd && kind == SumsKind::kMinutes) {
    cell.sessions += entry.sums.sessions;  // these count where they begin all the same
    return;
  }
  const std::uint64_t sessions = cell.sessions;
  cell.add(entry.sums);
  if (question_->spread == Spread::kAtEnd) cell.sessions = sessions;
}

void Chart::add(const Chart& other) {
  const auto merge = [](std::vector<Sums>& into, const std::vector<Sums>& from) {
    for (std::size_t i = 0; i < from.size(); ++i) into[i].add(from[i]);
  };
  for (std::size_t place = 0; place < other.series_.size(); ++place) {
    const std::uint32_t to = table_.place_of(other.table_.key(static_cast<std::uint32_t>(place)));
    merge(to < table_.size() ? series(to) : rest_, other.series_[place]);
  }
  merge(rest_, other.rest_);
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
Result<std::vector<TopGroup>> find_series(const LogStore& ledger, const TimelineQuestion& question,
                                          const Query& query, const ScanControl& control) {
  TopQuestion top;
  top.query = query;
  top.by = {*question.by};
  top.names = question.names;
  top.sum = question.sum;
  top.count = question.series * 2;
  top.all_sums = false;
  auto found = find_top(ledger, top, control);
  if (!found) return found.error();
  return std::move(found->groups);
}

}  // namespace

Result<TimelineResult> find_timeline(const LogStore& ledger, const TimelineQuestion& question,
                                     const ScanControl& control) {
  const auto buckets = count_buckets(question);
  if (!buckets) return buckets.error();
  const Grid grid(question, *buckets);
  Query query = Query::overlapping(question.from, question.until - std::chrono::milliseconds(1));
  query.where = question.where;

  KeyMaker keys(question.by ? std::vector<Field>{*question.by} : std::vector<Field>(), question.names);
  std::vector<TopGroup> wanted;
  std::size_t limit = 0;  // of series
  if (question.by && has_few_values(*question.by)) {
    limit = std::min(kFewValues, kMaxCells / *buckets - 1);
  } else if (question.by) {
    auto found = find_series(ledger, question, query, control);
    if (!found) return found.error();
    wanted = std::move(*found);
    if ((wanted.size() + 1) * *buckets > kMaxCells) wanted.resize(question.series);
    limit = wanted.size();
  }
  const auto make_table = [&] {
    GroupTable table(std::max<std::size_t>(1, limit), 1, 0);
    for (const TopGroup& group : wanted) static_cast<void>(table.place_of(keys.key_of(group.key)));
    table.set_limit(limit);
    return table;
  };

  query.columns = keys.columns();
  for (const CounterSum& counter : kCounterSums) query.columns.add(counter.field);
  query.columns.add({Field::kStartTime, Field::kEndTime, Field::kSeq});
  const auto ready = control.from_records ? std::optional<ReadySums>()
                                          : ReadySums::over_time(question.from, question.until,
                                                                 question.bucket, question.where, question.by,
                                                                 question.spread == Spread::kAtEnd);
  const Grid rest = ready ? grid.since(ready->until()) : grid;
  std::vector<Chart> charts;
  const auto make_charts = [&] {
    charts.clear();
    for (unsigned i = 0; i < Scan::threads_of(control); ++i)
      charts.emplace_back(question, grid, rest, keys, make_table());
  };
  make_charts();
  std::string note;
  if (ready) {
    query.ready = ready->read(
        ledger, control,
        [&](unsigned worker, SumsKind kind, std::span<const SumsEntry> entries) {
          for (const SumsEntry& entry : entries) charts[worker].add(kind, entry);
        },
        note);
    if (!query.ready) make_charts();
  }
  Scan scan(ledger, query, control);
  scan.run([&](unsigned worker, const ScanBatch& batch) { charts[worker].add(batch); });
  if (auto good = scan.error(); !good) return good.error();
  for (std::size_t i = 1; i < charts.size(); ++i) charts[0].add(charts[i]);

  TimelineResult result{question.from, question.bucket, *buckets, {}, scan.report()};
  result.report.note = note;
  const auto add_series = [&](TimelineSeries series, std::vector<Sums>& cells) {
    for (const Sums& cell : cells) series.total.add(cell);
    series.buckets = std::move(cells);
    result.series.push_back(std::move(series));
  };
  for (std::uint32_t place = 0; place < charts[0].size(); ++place) {
    TimelineSeries series;
    series.key = charts[0].value(place);
    add_series(std::move(series), charts[0].series(place));
  }
  TimelineSeries others;
  others.rest = question.by.has_value();
  add_series(std::move(others), charts[0].rest());
  if (!question.by) return result;

  const auto larger = [&](const TimelineSeries& a, const TimelineSeries& b) {
    const std::uint64_t of_a = a.total.of(question.sum);
    const std::uint64_t of_b = b.total.of(question.sum);
    return of_a != of_b ? of_a > of_b : a.key < b.key;
  };
  std::sort(result.series.begin(), result.series.end() - 1, larger);
  while (result.series.size() > question.series + 1) {
    TimelineSeries& remainder = result.series.back();
    const TimelineSeries& least = *(result.series.end() - 2);
    for (std::size_t bucket = 0; bucket < *buckets; ++bucket)
      remainder.buckets[bucket].add(least.buckets[bucket]);
    remainder.total.add(least.total);
    result.series.erase(result.series.end() - 2);
  }
  const auto empty = [](const TimelineSeries& series) { return series.total == Sums(); };
  std::erase_if(result.series, empty);
  return result;
}

}  // namespace natsession
