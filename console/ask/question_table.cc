#include "ask/question_table.h"

namespace natsession::console {

Result<QuestionTable::Place> QuestionTable::reserve(const std::string& user) {
  const char* const why = state_->with([&](State& state) -> const char* {
    if (state.closed) return "the console is being stopped";
    if (state.in_all >= limits_.in_all) return "too many questions are being answered";
    std::size_t& own = state.places[user];
    if (own >= limits_.of_user) return "too many questions of this user are being answered";
    ++own;
    ++state.in_all;
    return nullptr;
  });
  if (why != nullptr)
    return Error{ErrorKind::kUnavailable, std::string(why) + "; cancel one, or try again when one has ended"};
  return Place(nullptr, [state = state_, user](void*) {
    state->with([&](State& known) {
      --known.in_all;
      const auto own = known.places.find(user);
      if (--own->second == 0) known.places.erase(own);
    });
  });
}

void QuestionTable::add(const std::string& id, const std::shared_ptr<ActiveQuestion>& question) {
  const bool closed = state_->with([&](State& state) {
    std::erase_if(state.questions, [](const Named& one) { return one.question.expired(); });
    state.questions.push_back({id, question});
    return state.closed;
  });
  if (closed) question->cancel();
}

std::vector<QuestionTable::Line> QuestionTable::list(const std::string& user) const {
  return state_->with([&](const State& state) {
    std::vector<Line> lines;
    for (const Named& one : state.questions) {
      const auto question = one.question.lock();
      if (question == nullptr || question->user != user) continue;
      lines.push_back({one.id, question->what,
                       std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::steady_clock::now() - question->begun),
                       question->running.progress()});
    }
    return lines;
  });
}

bool QuestionTable::cancel(const std::string& user, const std::string& id) {
  return state_->with([&](State& state) {
    bool found = false;
    for (const Named& one : state.questions) {
      const auto question = one.question.lock();
      if (question == nullptr || question->user != user || one.id != id || id.empty()) continue;
      question->cancel();
      found = true;
    }
    return found;
  });
}

void QuestionTable::cancel_all() {
  state_->with([](State& state) {
    state.closed = true;
    for (const Named& one : state.questions) {
      if (const auto question = one.question.lock()) question->cancel();
    }
  });
}

}  // namespace natsession::console
