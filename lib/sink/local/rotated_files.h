// The files that a file sink has rotated away, as the directory shows them. For the sink's PATH:
//
//   PATH.20261121T143422Z       rotated at that time, UTC
//   PATH.20261121T143422Z.2     the third in that second (after the bare one and .1)
//   PATH.20261121T143422Z.zst   compressed: .gz or .zst behind either
//
// Nothing but these names is ever compressed or removed. Housekeeper does that, one file after the other. Its
// queue is the directory: each look finds what there is to do, so what a crash left over is found too, and
// nothing can overflow.
// Threads: functions are for any thread; of a Housekeeper start, calls and destruction are the sink's
// (sink.h), and its own thread is inside.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "sink/encoding/compressor.h"

namespace natsession {

struct RotatedFile {
  std::string path;  // without the suffix of a compressed one
  bool plain = false;
  bool gzip = false;
  bool zstd = false;
};

// The oldest first.
// Errors: when the directory cannot be read.
[[nodiscard]] Result<std::vector<RotatedFile>> list_rotated(const std::string& path);

// A name for `path` rotated at `now`, behind all others of that second.
[[nodiscard]] Result<std::string> name_rotated(const std::string& path, UnixNs now);

// Whether the file begins with `text`. One that may not be read is believed to.
[[nodiscard]] bool begins_with(const std::string& path, std::string_view text);

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

// LogFile: an open file of the log: how it is opened, and what is known of it then.
// Threads: a plain value type; opening is for any thread.
struct LogFile {
  UniqueFd fd;
  bool regular = false;  // else a FIFO, a terminal, /dev/null …
  std::uint64_t size = 0;
  bool torn = false;  // it does not end in a newline: a crash cut its last line
  UnixNs last_written;
  dev_t device = 0;
  ino_t inode = 0;

  // Opens `path` to append to it, and makes it, with `mode`, if there is none. A FIFO that nobody reads is
  // opened all the same; what is written to it then fails with EPIPE until somebody does.
  // Errors: kUsage if the name cannot be that of a log (its directory does not exist, it is a directory, a
  // disk, a socket), kPermission, or kIo.
  [[nodiscard]] static Result<LogFile> open(const std::string& path, mode_t mode) {
    return open_as(path, mode);
  }

  // Whether open() would succeed, as far as can be told without making the file.
  // Errors: as open().
  [[nodiscard]] static Result<void> probe(const std::string& path);

  [[nodiscard]] bool same_as(const LogFile& other) const {
    return device == other.device && inode == other.inode;
  }

 private:
  static Result<LogFile> open_as(const std::string& path, std::optional<mode_t> mode_to_make);
};

}  // namespace natsession
