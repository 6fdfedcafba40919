#include "query/scan.h"

#include <algorithm>

#include "query/proof.h"

namespace natsession {
namespace {

constexpr unsigned kAlone = 2;

unsigned thread_count(unsigned wanted) {
  const unsigned threads = wanted != 0 ? wanted : std::thread::hardware_concurrency();
  return std::clamp(threads, 1U, Scan::kMaxThreads);
}

Query seen_in(Query query, const LogStore& log) {
  query.flows = query.flows || (log.remote() != nullptr && log.remote()->tells_flows());
  return query;
}

}  // namespace

double ScanProgress::share() const {
  if (frames == 0) return 1;
  return std::min(1.0, static_cast<double>(frames_done) / static_cast<double>(frames));
}

unsigned Scan::threads_of(const ScanControl& control) {
  return thread_count(control.threads);
}

Scan::Scan(const LogStore& ledger, Query query, ScanControl control, Order order)
    : query_(seen_in(std::move(query), ledger)),
      control_(std::move(control)),
      filter_(query_),
      threads_(thread_count(control_.threads)),
      plan_(ledger, query_, order == Order::kNewestFirst) {
  if (ledger.remote() != nullptr) {
    remote_ = std::make_unique<RemoteFrames>(*ledger.remote(), query_, order == Order::kNewestFirst,
                                             [this] { return control_.cancelled(); });
  }
  frames_ = plan_.frames_expected();
  tell_proved(ledger, query_, control_.until_now, plan_.report());
}

Scan::~Scan() {
  stop();
}

void Scan::give_up() {
  if (remote_) remote_->stop();
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

// Under the lock.
std::optional<FrameTask> Scan::take() {
  if (stopped_ || exhausted_) return std::nullopt;
  if (control_.cancelled()) {
    plan_.report().cancelled = true;
    exhausted_ = true;
    return std::nullopt;
  }
  auto task = remote_ ? remote_->next() : plan_.next();
  frames_ = plan_.frames_expected();
  if (!task) exhausted_ = true;
  if (!task && remote_) {
    plan_.report().cancelled = plan_.report().cancelled || control_.cancelled();
    if (auto read = remote_->error(); !read) plan_.fail(read.error());
  }
  return task;
}

bool Scan::read(const FrameTask& task, ScanBatch& batch, std::vector<KnownGap>& gaps, std::string& why) {
  const FrameInfo& info = task.place.info;
  batch.clear();
  batch.of_ready_segment_ = task.ready;
  if (task.file == nullptr) {
    Result<void> done = batch.open(task.records, task.ordinals);
    if (done) done = filter_.select(task.from, batch, gaps);
    if (done && !batch.rows_.empty()) done = batch.load(query_);
    if (done) return true;
    why = done.error().message;
    batch.clear();
    gaps.clear();
    return false;
  }
  const auto read_at = [file = task.file, offset = task.place.offset](std::uint64_t at,
                                                                      std::span<std::byte> out) {
    const auto count = file->read_at(offset + at, out);
    return count && *count == out.size();
  };
  Result<void> done = batch.columns_.open(info.bytes, read_at, [file = task.file] { return file->peers(); });
  if (done) {
    const FrameInfo& found = batch.columns_.info();
    if (found.first != info.first || found.last != info.last || found.records != info.records) {
      done = Error{ErrorKind::kMalformed, "the frame is not the one that the index tells of"};
    }
  }
  if (done) done = filter_.select(task.from, batch, gaps);
  if (done && !batch.rows_.empty()) done = batch.load(query_);
  if (done) return true;
  why = task.file->path() + ", offset " + std::to_string(task.place.offset) + ": " + done.error().message;
  batch.clear();
  gaps.clear();
  return false;
}

// Whether the batch has rows.
bool Scan::handle(const FrameTask& task, bool in_order, ScanBatch& batch) {
  batch.in_order_ = in_order;
  const FrameInfo& info = task.place.info;
  std::vector<KnownGap> gaps;
  std::string why;
  const bool good = read(task, batch, gaps, why);
  {
    const std::lock_guard lock(mutex_);
    ScanReport& report = plan_.report();
    if (good) {
      ++report.frames_read;
      report.records_read += info.records;
      report.rows += batch.size();
      for (KnownGap& gap : gaps) report.add(std::move(gap));
    } else {
      plan_.tell({TroubleKind::kDamaged, {info.min_end, info.max_end}, info.records, std::move(why)});
    }
  }
  ++frames_done_;
  records_ += info.records;
  if (control_.progress && progress_mutex_.try_lock()) {
    const std::lock_guard lock(progress_mutex_, std::adopt_lock);
    control_.progress(progress());
  }
  return batch.size() > 0;
}

void Scan::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    room_.wait(lock, [&] { return stopped_ || exhausted_ || taken_ < given_ + slots_.size(); });
    const auto task = take();
    if (!task) break;
    Slot& slot = slots_[taken_++ % slots_.size()];
    lock.unlock();
    const bool has_rows = handle(*task, /*in_order=*/true, slot.batch);
    lock.lock();
    slot.has_rows = has_rows;
    slot.done = true;
    ready_.notify_one();
  }
  --working_;
  room_.notify_all();
  ready_.notify_one();
}

void Scan::begin() {
  begun_ = true;
  slots_ = std::vector<Slot>(std::size_t{2} * threads_);
  working_ = threads_;
  for (unsigned i = 0; i < threads_; ++i) pool_.emplace_back([this] { work(); });
}

const ScanBatch* Scan::next() {
  // Threads are worth it for more than a few frames: the inner loop of a join may be a scan of two.
  while (threads_ == 1 || alone_ < kAlone) {
    ++alone_;
    std::unique_lock lock(mutex_);
    const auto task = take();
    lock.unlock();
    if (!task) {
      finish();
      return nullptr;
    }
    if (handle(*task, /*in_order=*/true, first_)) return &first_;
  }
  if (!begun_) begin();
  std::unique_lock lock(mutex_);
  const auto release = [&] {
    slots_[given_ % slots_.size()].done = false;
    ++given_;
    room_.notify_one();
  };
  if (holding_) release();
  holding_ = false;
  while (true) {
    Slot& slot = slots_[given_ % slots_.size()];
    ready_.wait(lock, [&] { return stopped_ || slot.done || (working_ == 0 && given_ == taken_); });
    if (stopped_ || !slot.done) break;
    if (slot.has_rows) {
      holding_ = true;
      return &slot.batch;
    }
    release();
  }
  lock.unlock();
  finish();
  return nullptr;
}

void Scan::work_for(unsigned worker, const std::function<void(unsigned, const ScanBatch&)>& use) {
  ScanBatch batch;
  while (true) {
    std::unique_lock lock(mutex_);
    const auto task = take();
    lock.unlock();
    if (!task) return;
    if (handle(*task, /*in_order=*/false, batch)) use(worker, batch);
  }
}

void Scan::run(const std::function<void(unsigned, const ScanBatch&)>& use) {
  begun_ = true;
  for (unsigned worker = 1; worker < threads_; ++worker) {
    pool_.emplace_back([this, worker, &use] { work_for(worker, use); });
  }
  work_for(0, use);
  finish();
}

void Scan::stop() {
  if (remote_) remote_->stop();
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  room_.notify_all();
  finish();
}

void Scan::finish() {
  for (std::thread& thread : pool_) thread.join();
  pool_.clear();
  plan_.report().sort();
}

}  // namespace natsession
