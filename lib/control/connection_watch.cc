#include "control/connection_watch.h"

#include <sys/socket.h>

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
    return Error{ErrorKind::kUnavailable, std::string("control server thread: ") + failure.what()};
  }
  return {};
}

void ConnectionWatch::opened(int fd) {
  const std::lock_guard lock(mutex_);
  connections_.push_back({fd, std::chrono::steady_clock::now() + limit_});
  if (connections_.size() == 1) changed_.notify_all();
}

void ConnectionWatch::closed(int fd) {
  const std::lock_guard lock(mutex_);
  std::erase_if(connections_, [fd](const Connection& connection) { return connection.fd == fd; });
}

void ConnectionWatch::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (connections_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const Connection next = connections_.front();
    if (std::chrono::steady_clock::now() < next.due) {
      changed_.wait_until(lock, next.due);
      continue;
    }
    ::shutdown(next.fd,
               SHUT_RDWR);  // under the lock: closed() waits, so the number is still this connection's
    connections_.pop_front();
  }
}

}  // namespace natsession
