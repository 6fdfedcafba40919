// QuestionTable: the questions that run, for whom, how far they are, and how many a user may have at once.
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ask/asker.h"
#include "base/guarded.h"

namespace natsession::console {

// One that runs. Ends with its last owner.
struct ActiveQuestion {
  ActiveQuestion(std::string of, std::string asked, RunningQuestion process)
      : user(std::move(of)), what(std::move(asked)), running(std::move(process)) {}

  // The answer ends soon, and is not whole.
  void cancel() {
    cancelled = true;
    running.cancel();
  }

  const std::string user;
  const std::string what;  // for people
  const std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  const RunningQuestion running;
  std::atomic<bool> cancelled = false;
};

struct QuestionTableLimits {
  std::size_t of_user = 4;
  std::size_t in_all = 16;
};

class QuestionTable {
 public:
  explicit QuestionTable(QuestionTableLimits limits) : limits_(limits) {}

  // A place for one more question of this user, kept as long as the returned object lives.
  // Errors: kUnavailable if there is none.
  using Place = std::shared_ptr<void>;
  [[nodiscard]] Result<Place> reserve(const std::string& user);

  // `id`: the caller's own name for it, or empty.
  void add(const std::string& id, const std::shared_ptr<ActiveQuestion>& question);

  struct Line {
    std::string id;
    std::string what;
    std::chrono::milliseconds elapsed{};
    RunningQuestion::Progress progress;
  };
  [[nodiscard]] std::vector<Line> list(const std::string& user) const;
  // False if this user has no such question.
  bool cancel(const std::string& user, const std::string& id);
  void cancel_all();

 private:
  struct Named {
    std::string id;
    std::weak_ptr<ActiveQuestion> question;
  };
  struct State {
    std::map<std::string, std::size_t> places;  // of users
    std::size_t in_all = 0;
    std::vector<Named> questions;
    bool closed = false;
  };

  const QuestionTableLimits limits_;
  std::shared_ptr<Guarded<State>> state_ = std::make_shared<Guarded<State>>();
};

}  // namespace natsession::console
