#include "delivery/memory_log.h"

#include <algorithm>

namespace natsession {
namespace {

// What has_room() promises a producer, and what its open batch may hold beside.
constexpr std::size_t kRoomRecords = RecordOutput::kRoom + RecordBatch::kCapacity;
// A reader that goes on in the middle of the ring must not count as full at once.
static_assert(kRoomRecords < kMinQueueBatches * RecordBatch::kCapacity / 2);

}  // namespace

// What is under the lock.
class MemoryLog::Ring {
 public:
  // Records of one batch that follow one another in the log.
  struct Run {
    RecordBatch* batch = nullptr;
    std::size_t from = 0;  // in the batch
    std::size_t count = 0;
    Ordinal first = 0;
    [[nodiscard]] Ordinal end() const { return first + count; }
    // Of the record with this ordinal on.
    [[nodiscard]] std::span<const SessionRecord> records(Ordinal place) const {
      return std::span<const SessionRecord>(batch->records).subspan(from + (place - first), end() - place);
    }
  };
  // Where a reader is.
  struct Place {
    std::string name;
    Ordinal next = 0;       // to be read
    std::uint64_t run = 0;  // the number of the run to look at; none before it has `next`
    const std::atomic<Ordinal>* acknowledged = nullptr;  // all before
    RecordBatch* in_hand = nullptr;
    LogReader::Hold hold = LogReader::Hold::kHolds;
    bool lagging = false;
    bool lagging_told = false;
    // The time of what was overwritten from `next` on.
    UnixMs from = UnixMs::max();
    UnixMs until = UnixMs::min();
    // While the ring is full of what it has not read, and another goes on: since when, steady, and from
    // where.
    std::optional<std::chrono::nanoseconds> full_since = {};
    Ordinal acknowledged_then = 0;

    [[nodiscard]] bool holds() const { return hold == LogReader::Hold::kHolds && !lagging; }
    [[nodiscard]] bool closed() const { return hold == LogReader::Hold::kClosed; }
    void miss(std::span<const SessionRecord> records) {
      for (const SessionRecord& record : records) {
        from = std::min(from, record.start_time);
        until = std::max(until, record.end_time);
      }
    }
  };

  // A batch that is not used any more, the one that came back last first: a healthy run keeps to a few, which
  // stay in the processor's cache.
  RecordBatch* acquire() {
    if (free_.empty()) {
      batches_.push_back(std::make_unique<RecordBatch>());
      free_.reserve(batches_.capacity());
      free_.push_back(batches_.back().get());
    }
    RecordBatch* const batch = free_.back();
    free_.pop_back();
    batch->references = 1;
    return batch;
  }
  void release(RecordBatch* batch) {
    if (batch != nullptr && --batch->references == 0) free_.push_back(batch);
  }

  // True if it made a reader lag.
  bool append(RecordBatch& batch, std::size_t from, std::size_t to) {
    const std::size_t count = to - from;
    bool lag = false;
    while (!runs_.empty() && end_ + count - runs_.front().first > capacity_) {
      for (Place& place : places_) {  // such a reader only if more is emitted than has_room() had promised
        if (place.holds() && place.next < runs_.front().end()) lag = place.lagging = true;
      }
      drop_oldest();
    }
    // A trickle grows where it waits.
    if (!runs_.empty() && runs_.back().batch == &batch && runs_.back().from + runs_.back().count == from) {
      runs_.back().count += count;
    } else {
      runs_.push_back({&batch, from, count, end_});
      ++batch.references;
    }
    end_ += count;
    return lag;
  }

  LogReader::Block read(Place& place) {
    release(place.in_hand);
    place.in_hand = nullptr;
    place.lagging = false;
    if (place.next < begin()) return {.skipped = skip(place)};
    place.run = std::max(place.run, first_run_);
    // The last run may grow: it is not passed before there is another.
    while (place.run + 1 < first_run_ + runs_.size() && run_of(place)->end() <= place.next) ++place.run;
    LogReader::Block block;
    if (const Run* const run = run_of(place); run != nullptr && run->end() > place.next) {
      block = {run->records(place.next), place.next, {}};
      place.next = run->end();
      place.in_hand = run->batch;
      ++run->batch->references;
    }
    drop_what_all_have_read();
    return block;
  }

  // Whether `room` records more fit before any reader that holds the ring. `lag`: a reader began to lag.
  bool has_room(std::chrono::nanoseconds now, bool& lag) {
    const std::size_t room = kRoomRecords * producers;
    const auto has = [&](const Place& place) { return end_ - place.next + room <= capacity_; };
    const bool all_have = std::all_of(places_.begin(), places_.end(),
                                      [&](const Place& place) { return !place.holds() || has(place); });
    const bool any_open =
        std::any_of(places_.begin(), places_.end(), [](const Place& place) { return !place.closed(); });
    // A reader's time runs only while another one goes on: when all are stuck (one full disk under two
    // files), the first to recover must not cost the others their records.
    const bool another_goes_on =
        !all_have && std::any_of(places_.begin(), places_.end(),
                                 [&](const Place& place) { return place.holds() && has(place); });
    for (Place& place : places_) {
      if (!another_goes_on || !place.holds() || has(place)) {
        place.full_since.reset();
      } else if (!place.full_since || *place.acknowledged != place.acknowledged_then) {
        place.full_since = now;
        place.acknowledged_then = *place.acknowledged;
      } else if (now - *place.full_since >= stall_limit) {
        place.full_since.reset();
        lag = place.lagging = true;
      }
    }
    return any_open && all_have;
  }

  [[nodiscard]] LogStatus status(const Place& place) const {
    return {end_, begin() - std::min(begin(), place.next), place.lagging};
  }
  [[nodiscard]] Ordinal end() const { return end_; }
  [[nodiscard]] std::vector<Place>& places() { return places_; }
  [[nodiscard]] const std::vector<Place>& places() const { return places_; }
  void set_capacity(std::size_t records) { capacity_ = records; }

  std::size_t producers = 0;
  std::chrono::nanoseconds stall_limit{};

 private:
  // The oldest record that is there.
  [[nodiscard]] Ordinal begin() const { return runs_.empty() ? end_ : runs_.front().first; }
  [[nodiscard]] const Run* run_of(const Place& place) const {
    const std::uint64_t index = place.run - first_run_;
    return index < runs_.size() ? &runs_[index] : nullptr;
  }

  void drop_oldest() {
    const Run& run = runs_.front();
    for (Place& place : places_) {
      if (place.next < run.end() && !place.closed()) place.miss(run.records(std::max(place.next, run.first)));
    }
    release(run.batch);
    runs_.pop_front();
    ++first_run_;
  }
  void drop_what_all_have_read() {
    const auto have_read = [this](const Place& place) {
      return place.closed() || place.next >= runs_.front().end();
    };
    while (!runs_.empty() && std::all_of(places_.begin(), places_.end(), have_read)) drop_oldest();
  }

  Skipped skip(Place& place) {
    const Ordinal to = std::max(begin(), end_ - std::min<Ordinal>(end_, capacity_ / 2));
    for (const Run& run : runs_) {
      if (run.first >= to) break;
      place.miss(run.records(run.first).first(std::min(run.end(), to) - run.first));
    }
    const Skipped skipped{.first = place.next,
                          .last = to - 1,
                          .reason = RecordReason::kSinkStalled,
                          .from = place.from,
                          .until = place.until,
                          .why = "more waited than memory is for: " + std::to_string(capacity_) + " records"};
    place.next = to;
    place.from = UnixMs::max();
    place.until = UnixMs::min();
    return skipped;
  }

  std::size_t capacity_ = 0;  // records
  std::deque<Run> runs_;      // oldest first
  std::uint64_t first_run_ = 0;
  Ordinal end_ = 0;
  std::vector<Place> places_;
  std::vector<std::unique_ptr<RecordBatch>> batches_;
  std::vector<RecordBatch*> free_;
};

class MemoryLog::Reader final : public LogReader {
 public:
  Reader(MemoryLog& log, std::string_view name)
      : log_(log), index_(log.ring_->with([&](Ring& ring) {
          ring.places().push_back({.name = std::string(name), .acknowledged = &acknowledged_});
          return ring.places().size() - 1;
        })) {}

  Result<Block> read() override {
    return log_.ring_->with([this](Ring& ring) {
      Ring::Place& place = ring.places()[index_];
      if (place.lagging) log_.lag_changed_.store(true, std::memory_order_release);
      return ring.read(place);
    });
  }
  void acknowledge(Ordinal next) override { acknowledged_.store(next, std::memory_order_release); }
  void set_hold(Hold hold) override {
    log_.ring_->with([&](Ring& ring) {
      Ring::Place& place = ring.places()[index_];
      place.hold = hold;
      if (hold == Hold::kHolds || !place.lagging) return;
      place.lagging = false;
      log_.lag_changed_.store(true, std::memory_order_release);
    });
  }
  [[nodiscard]] Ordinal high_watermark() const override { return log_.end_.load(std::memory_order_acquire); }
  [[nodiscard]] LogStatus status() const override {
    return log_.ring_->with([this](const Ring& ring) { return ring.status(ring.places()[index_]); });
  }

 private:
  MemoryLog& log_;
  std::atomic<Ordinal> acknowledged_{0};
  const std::size_t index_;
};

MemoryLog::MemoryLog(const DeliverySettings& settings, const Clock& clock)
    : queue_records_(std::max(settings.queue_batches, kMinQueueBatches) * RecordBatch::kCapacity),
      clock_(clock),
      ring_(std::make_unique<Guarded<Ring>>()) {
  ring_->with([&](Ring& ring) { ring.stall_limit = settings.stall_limit; });
}

MemoryLog::~MemoryLog() = default;

Producer& MemoryLog::add_producer() {
  producers_.push_back(std::make_unique<Producer>(*this));
  ring_->with([&](Ring& ring) {
    ring.producers = producers_.size();
    ring.set_capacity(queue_records_ * producers_.size());
  });
  return *producers_.back();
}

LogReader& MemoryLog::add_reader(std::string_view name, Notifier& notifier) {
  notifiers_.push_back(&notifier);
  return *readers_.emplace_back(std::make_unique<Reader>(*this, name));
}

RecordBatch* MemoryLog::first_batch() {
  return ring_->with([](Ring& ring) { return ring.acquire(); });
}

RecordBatch* MemoryLog::append(RecordBatch* batch, std::size_t from, std::size_t to, bool is_full,
                               const std::function<void(Ordinal end)>& on_append) {
  RecordBatch* const next = ring_->with([&](Ring& ring) {
    if (from < to) {
      if (on_append) on_append(ring.end() + (to - from));
      if (ring.append(*batch, from, to)) lag_changed_.store(true, std::memory_order_release);
      end_.store(ring.end(), std::memory_order_release);
    }
    if (!is_full) return batch;
    ring.release(batch);
    return ring.acquire();
  });
  for (Notifier* const notifier : notifiers_) notifier->notify();
  return next;
}

bool MemoryLog::has_room() {
  const std::chrono::nanoseconds now = clock_.steady();
  bool lag = false;
  const bool room = ring_->with([&](Ring& ring) { return ring.has_room(now, lag); });
  if (lag) lag_changed_.store(true, std::memory_order_release);
  return room;
}

std::vector<MemoryLog::LagChange> MemoryLog::take_lag_changes() {
  lag_changed_.store(false, std::memory_order_release);  // before the look: none is lost
  return ring_->with([](Ring& ring) {
    std::vector<LagChange> changes;
    for (Ring::Place& place : ring.places()) {
      if (place.lagging == place.lagging_told) continue;
      place.lagging_told = place.lagging;
      const LogStatus status = ring.status(place);
      changes.push_back({place.name, place.lagging, status.end - place.next - status.overwritten});
    }
    return changes;
  });
}

void Producer::emit(const SessionRecord& record) {
  if (batch_ == nullptr) batch_ = log_.first_batch();
  // Not before: on_append() is told of events whose last record is handed on with the batch.
  if (filled_ == RecordBatch::kCapacity) flush();
  batch_->records[filled_++] = record;
}

void Producer::keep_together(std::size_t count) {
  if (batch_ == nullptr || filled_ + count <= RecordBatch::kCapacity) return;
  batch_ = log_.append(batch_, published_, filled_, true, on_append_);
  published_ = filled_ = 0;
}

bool Producer::has_room() {
  return log_.has_room();
}

void Producer::prove(std::optional<Coverage> coverage) {
  proved_.with([&](std::optional<Coverage>& proved) { proved = std::move(coverage); });
}

void Producer::flush() {
  if (filled_ == published_) return;
  batch_ = log_.append(batch_, published_, filled_, filled_ == RecordBatch::kCapacity, on_append_);
  published_ = filled_ %= RecordBatch::kCapacity;
}

}  // namespace natsession
