#include "query/remote_frames.h"

#include <algorithm>

namespace natsession {
namespace {

constexpr std::size_t kAhead = 4;
// How often somebody who waits looks whether the question was given up.
constexpr std::chrono::milliseconds kLook{100};

}  // namespace

RemoteFrames::RemoteFrames(RemoteLog& log, const Query& query, bool newest_first,
                           std::function<bool()> cancelled)
    : log_(log),
      query_(query),
      newest_first_(newest_first),
      cancelled_(std::move(cancelled)),
      place_(newest_first ? kMaxOrdinal / 2 : 0) {}

RemoteFrames::~RemoteFrames() {
  stop();
  if (thread_.joinable()) thread_.join();
}

void RemoteFrames::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

Result<void> RemoteFrames::error() {
  const std::lock_guard lock(mutex_);
  return error_;
}

bool RemoteFrames::take(std::vector<SessionRecord>&& records) {
  std::unique_lock lock(mutex_);
  while (!stopped_ && waiting_.size() >= kAhead) {
    changed_.wait_for(lock, kLook);
    if (cancelled_()) return false;
  }
  if (stopped_ || cancelled_()) return false;
  if (!records.empty()) waiting_.push_back(std::move(records));
  changed_.notify_all();
  return true;
}

void RemoteFrames::read() {
  Result<void> all = log_.read(query_, newest_first_, [this](std::vector<SessionRecord>&& records) {
    return take(std::move(records));
  });
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) error_ = std::move(all);
    done_ = true;
  }
  changed_.notify_all();
}

std::optional<FrameTask> RemoteFrames::next() {
  std::unique_lock lock(mutex_);
  if (!begun_) {
    begun_ = true;
    thread_ = std::thread([this] { read(); });
  }
  while (waiting_.empty() && !done_ && !stopped_ && !cancelled_()) changed_.wait_for(lock, kLook);
  if (waiting_.empty() || stopped_ || cancelled_()) return std::nullopt;
  FrameTask task;
  task.records = std::move(waiting_.front());
  waiting_.pop_front();
  changed_.notify_all();
  lock.unlock();
  if (newest_first_) std::reverse(task.records.begin(), task.records.end());
  const auto count = static_cast<Ordinal>(task.records.size());
  const Ordinal first = newest_first_ ? place_ - count : place_;
  place_ = newest_first_ ? first : first + count;
  for (Ordinal i = 0; i < count; ++i) task.ordinals.push_back(first + i);
  // Gap records that are rows like others are there as well.
  task.ready = query_.ready != nullptr && !query_.gap_records;
  task.place.info.records = static_cast<std::uint32_t>(count);
  return task;
}

}  // namespace natsession
