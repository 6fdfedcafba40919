// ConnectionWatch: ends connections that last too long, however busy they keep themselves: a peer that sends
// a byte now and then would hold one of the few for ever.
// Threads: opened() and closed() from any; it has a thread of its own, which sleeps while there is no
// connection.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/result.h"

namespace natsession {

class ConnectionWatch {
 public:
  explicit ConnectionWatch(std::chrono::milliseconds limit) : limit_(limit) {}
  ~ConnectionWatch();

  // Errors: kUnavailable if no thread can be had.
  Result<void> start();

  // `fd` is open from opened() until closed() returns. When it is due, it is shut down, not closed.
  void opened(int fd);
  void closed(int fd);

 private:
  struct Connection {
    int fd;
    std::chrono::steady_clock::time_point due;
  };

  void run();

  const std::chrono::milliseconds limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Connection> connections_;  // in the order of their ends
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace natsession
