// Asker: runs natsessionctl's commands for the console, each in a process of its own: what a question takes
// in memory and time, and what a damaged ledger or a hostile statement does to it, stays there.
//
// The processes are copies of one that was forked before there was a thread (daemon/helper_process.h), so a
// question takes no start of a program, and what is asked does not stand in the list of processes.
// Threads: start() while there is one; then any.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "command.h"
#include "helper_process.h"

namespace natsession::console {

struct QuestionLimits {
  std::chrono::seconds time{300};        // from its beginning to its end
  std::uint64_t memory = 768ULL << 20U;  // bytes that its process has for itself
};

// A command line of natsessionctl, without the program's name.
struct Question {
  std::vector<std::string> arguments;
  std::string input;      // what standard input has
  std::string time_zone;  // TZ; empty: as the console's
  QuestionLimits limits = {};
};

// How a question ended.
struct Ended {
  enum class How : std::uint8_t {
    kAnswered,  // natsessionctl's exit status says how
    kTime,      // the limit
    kMemory,    // likewise
    kBroken,    // its process is gone: cancelled, or a fault
  };
  How how = How::kBroken;
  int status = 1;
};

// A question whose process runs. It ends with this object.
// Threads: one for what is read; cancel(), progress() and elapsed() from any.
class RunningQuestion {
 public:
  RunningQuestion(RunningQuestion&&) = default;

  // What it writes to standard output. Closed when it has ended.
  [[nodiscard]] int output() const { return output_.get(); }
  // Waits until it has ended: soon after output() has.
  [[nodiscard]] Ended wait() const;
  void cancel() const;

  // What it says on standard error, the last 64 KiB: warnings and errors, without what tells its progress.
  [[nodiscard]] std::string messages() const;
  struct Progress {
    double share = 0;           // 0 to 1
    std::uint64_t records = 0;  // that were read
  };
  // As far as it has told; a short question tells nothing.
  [[nodiscard]] Progress progress() const;

 private:
  friend class Asker;
  RunningQuestion(UniqueFd output, UniqueFd errors, UniqueFd control)
      : output_(std::move(output)), errors_(std::move(errors)), control_(std::move(control)) {}

  UniqueFd output_;   // a pipe
  UniqueFd errors_;   // a memfd
  UniqueFd control_;  // tells how it ended; closing it ends the process
};

class Asker {
 public:
  // Forks the process that questions are copies of. It knows these commands. Before there are threads.
  // Errors: no process can be had.
  [[nodiscard]] static Result<Asker> start(std::span<ctl::AddCommand* const> commands);

  // Begins with a question.
  // Errors: kUnavailable if there are no descriptors or processes; kUsage if its arguments are too long.
  [[nodiscard]] Result<RunningQuestion> ask(const Question& question);

  // Readable when that process has ended: nothing can be asked any more.
  [[nodiscard]] int link() const { return process_.link(); }

 private:
  explicit Asker(HelperProcess process)
      : process_(std::move(process)), mutex_(std::make_unique<std::mutex>()) {}

  HelperProcess process_;
  std::unique_ptr<std::mutex> mutex_;  // of the link
};

}  // namespace natsession::console
