// RemoteFrames: what a RemoteLog hands on, as frames' worth of records that a Scan can take one by one. The
// store is read by a thread of its own, a few frames ahead.
// Threads: next() one at a time; stop() any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "query/frame_plan.h"
#include "query/log_store.h"

namespace natsession {

class RemoteFrames {
 public:
  // Both outlive it. `cancelled` is asked often, from two threads.
  RemoteFrames(RemoteLog& log, const Query& query, bool newest_first, std::function<bool()> cancelled);
  ~RemoteFrames();
  RemoteFrames(const RemoteFrames&) = delete;
  RemoteFrames& operator=(const RemoteFrames&) = delete;

  // Waits for the store. Nothing at the end, when stopped or cancelled, or after an error: see error().
  [[nodiscard]] std::optional<FrameTask> next();
  void stop();
  [[nodiscard]] Result<void> error();

 private:
  bool take(std::vector<SessionRecord>&& records);
  void read();

  RemoteLog& log_;
  const Query& query_;
  const bool newest_first_;
  const std::function<bool()> cancelled_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::deque<std::vector<SessionRecord>> waiting_;
  Ordinal place_;
  bool begun_ = false;
  bool stopped_ = false;
  bool done_ = false;
  Result<void> error_;
  std::thread thread_;
};

}  // namespace natsession
