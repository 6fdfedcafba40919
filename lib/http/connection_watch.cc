#include "http/connection_watch.h"

#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <string>
#include <system_error>

namespace natsession {

ConnectionWatch::~ConnectionWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<void> ConnectionWatch::start() {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    return Error{ErrorKind::kUnavailable, std::string("HTTP server: thread: ") + failure.what()};
  }
  return {};
}

void ConnectionWatch::opened(int fd, std::string address) {
  const std::lock_guard lock(mutex_);
  connections_.push_back({fd, std::move(address), std::chrono::steady_clock::now()});
  if (connections_.size() == 1 || is_crowd()) changed_.notify_all();
}

void ConnectionWatch::asked(int fd) {
  const std::lock_guard lock(mutex_);
  for (Connection& connection : connections_) connection.asked = connection.asked || connection.fd == fd;
}

void ConnectionWatch::streams(int fd) {
  const std::lock_guard lock(mutex_);
  for (Connection& connection : connections_) connection.streams = connection.streams || connection.fd == fd;
}

void ConnectionWatch::closed(int fd) {
  const std::lock_guard lock(mutex_);
  std::erase_if(connections_, [fd](const Connection& connection) { return connection.fd == fd; });
}

void ConnectionWatch::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const Time next = end_due(std::chrono::steady_clock::now());
    if (connections_.empty()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, next);
    }
  }
}

// Returns when the next one is due.
ConnectionWatch::Time ConnectionWatch::end_due(Time now) {
  std::map<std::string, std::size_t> held;
  if (is_crowd()) {
    for (const Connection& connection : connections_) ++held[connection.address];
  }
  Time next = now + std::min(limits_.asking, limits_.duration);
  const std::size_t all = connections_.size();
  std::size_t left = all;
  std::erase_if(connections_, [&](const Connection& connection) {
    auto most = connection.streams ? limits_.streaming
                : connection.asked ? limits_.duration
                                   : std::min(limits_.asking, limits_.duration);
    // Its address has its share of them, or more.
    if (!connection.streams && left > limits_.connections / 2 &&
        held[connection.address] * held.size() >= all)
      most = std::min(most, connection.asked ? limits_.hurry_in_all : limits_.hurry);
    if (now < connection.opened + most) {
      next = std::min(next, connection.opened + most);
      return false;
    }
    // Under the lock: closed() waits, so the number is still this connection's.
    ::shutdown(connection.fd, SHUT_RDWR);
    --left;
    return true;
  });
  return next;
}

}  // namespace natsession
