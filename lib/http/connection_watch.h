// ConnectionWatch: ends connections that last too long, however busy they keep themselves: a peer that sends
// a byte now and then would hold one of the few for ever. While there is a crowd, addresses that hold more
// than their share of it are hurried: so thousands of slow connections keep nobody waiting for long.
// Threads: opened(), asked() and closed() from any; it has a thread of its own, which sleeps while there is no
// connection.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"

namespace natsession {

struct HttpLimits {
  unsigned connections = 256;                                     // more wait until others have ended
  std::chrono::milliseconds asking = std::chrono::seconds(15);    // until a connection's request is there
  std::chrono::milliseconds duration = std::chrono::seconds(15);  // of a connection, whatever it does
  // With more than half of them in use: how long a connection may take to ask, and in all.
  std::chrono::milliseconds hurry = std::chrono::milliseconds(50);
  std::chrono::milliseconds hurry_in_all = 20 * hurry;
  std::chrono::milliseconds streaming = std::chrono::hours(2);  // of an answer that comes in pieces, in all
};

class ConnectionWatch {
 public:
  explicit ConnectionWatch(const HttpLimits& limits) : limits_(limits) {}
  ~ConnectionWatch();

  // Errors: kUnavailable if no thread can be had.
  Result<void> start();

  // `fd` is open from opened() until closed() returns. When it is due, it is shut down, not closed.
  // `address`: of the peer, in any form.
  void opened(int fd, std::string address);
  void asked(int fd);    // its request is there
  void streams(int fd);  // its answer comes in pieces: it may take its time, also in a crowd
  void closed(int fd);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Connection {
    int fd;
    std::string address;
    Time opened;
    bool asked = false;
    bool streams = false;
  };

  void run();
  [[nodiscard]] bool is_crowd() const { return connections_.size() > limits_.connections / 2; }
  [[nodiscard]] Time end_due(Time now);

  const HttpLimits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Connection> connections_;  // the oldest first; without those that were shut down
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace natsession
