// Housekeeper: compresses and removes a file sink's rotated files, on a thread of its own, one after the
// other.
//
// Its queue is the directory: each look finds what there is to do, so what a crash left over is found too,
// and nothing can overflow.
// Threads: start, calls and destruction by the sink's threads (sink.h); its own thread is inside.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>

#include "base/guarded.h"
#include "base/result.h"
#include "sink/compressor.h"

namespace natsession {

class Housekeeper {
 public:
  // `path` is the sink's own file; `keep` rotated files stay, 0: all.
  Housekeeper(std::string path, Compression compression, std::size_t keep);
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;
  // Begins no new file after kStopLimit; finishes the one under way. What is left is done at the next start.
  ~Housekeeper();

  static constexpr std::chrono::seconds kStopLimit{2};

  // Starts the thread, which takes a first look.
  // Errors: kUnavailable.
  Result<void> start();
  // There is a new rotated file.
  void look();
  // While the lock is held no look is taken, so a rotation can be undone.
  [[nodiscard]] std::unique_lock<std::mutex> hold() { return std::unique_lock(looking_); }
  // What went wrong since the last call; empty if nothing did.
  [[nodiscard]] std::string take_problem();

 private:
  void run();
  void tidy();
  bool stop_now();
  void put_problem(const std::string& problem);

  const std::string path_;
  const Compression compression_;
  const std::size_t keep_;

  std::mutex looking_;
  std::mutex mutex_;  // of the four below
  std::condition_variable wake_;
  bool wanted_ = true;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point stop_at_;

  std::atomic<bool> has_problem_{false};
  Guarded<std::string> problem_;
  std::thread thread_;
};

}  // namespace natsession
