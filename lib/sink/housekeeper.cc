#include "sink/housekeeper.h"

#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>
#include <vector>

#include <pthread.h>
#include <unistd.h>

#include "sink/rotated_files.h"

namespace natsession {
namespace {

// The forwarding path and the log come first.
constexpr int kNice = 10;

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove " + path, errno);
  return {};
}

Result<void> remove_all(const RotatedFile& file) {
  Result<void> removed;
  if (file.plain) removed = remove_file(file.path);
  if (removed && file.gzip) removed = remove_file(file.path + std::string(suffix_of(Compression::kGzip)));
  if (removed && file.zstd) removed = remove_file(file.path + std::string(suffix_of(Compression::kZstd)));
  return removed;
}

}  // namespace

Housekeeper::Housekeeper(std::string path, Compression compression, std::size_t keep)
    : path_(std::move(path)), compression_(compression), keep_(keep) {}

Housekeeper::~Housekeeper() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_at_ = std::chrono::steady_clock::now() + kStopLimit;
  }
  wake_.notify_one();
  thread_.join();
}

Result<void> Housekeeper::start() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // the new thread inherits it: signals are not for it
  Result<void> started;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    started = system_error("start a thread for rotated files", error.code().value(), ErrorKind::kUnavailable);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

void Housekeeper::look() {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
  }
  wake_.notify_one();
}

std::string Housekeeper::take_problem() {
  if (!has_problem_.exchange(false, std::memory_order_acq_rel)) return {};
  return problem_.with([](std::string& problem) { return std::exchange(problem, {}); });
}

void Housekeeper::run() {
  pthread_setname_np(pthread_self(), "rotated-files");
  setpriority(PRIO_PROCESS, 0, kNice);  // on Linux this is the calling thread's
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return wanted_ || stopping_; });
    if (!wanted_) return;
    wanted_ = false;
    lock.unlock();
    tidy();
    lock.lock();
  }
}

// One look: the oldest beyond `keep` go, the rest is compressed, the oldest first.
void Housekeeper::tidy() {
  const auto found = [this] {
    const std::lock_guard lock(looking_);
    return list_rotated(path_);
  }();
  if (!found) {
    put_problem(found.error().message);
    return;
  }
  const std::size_t surplus = keep_ > 0 && found->size() > keep_ ? found->size() - keep_ : 0;
  for (std::size_t i = 0; i < found->size(); ++i) {
    if (stop_now()) return;
    const RotatedFile& file = (*found)[i];
    Result<void> done;
    if (i < surplus) {
      done = remove_all(file);
    } else if (file.plain && compression_ != Compression::kNone) {
      done = compress_file(file.path, compression_);
    }
    if (!done) put_problem(done.error().message);
  }
}

bool Housekeeper::stop_now() {
  const std::lock_guard lock(mutex_);
  return stopping_ && std::chrono::steady_clock::now() >= stop_at_;
}

void Housekeeper::put_problem(const std::string& problem) {
  problem_.with([&](std::string& last) { last = problem; });
  has_problem_.store(true, std::memory_order_release);
}

}  // namespace natsession
