#include "api/answer_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <unistd.h>

#include "base/exit_status.h"

namespace natsession::console {
namespace {

constexpr std::size_t kFirst = std::size_t{32} << 10;

std::string one_line(std::string text) {
  constexpr std::size_t kMost = 2000;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = c == '\n' ? '|' : ' ';
  }
  return text.substr(0, kMost);
}

std::string outcome_of(const Ended& ended, bool cancelled) {
  switch (ended.how) {
    case Ended::How::kAnswered:
      return ended.status == 0 ? "answered" : "answered with status " + std::to_string(ended.status);
    case Ended::How::kTime:
      return "ended by the time limit";
    case Ended::How::kMemory:
      return "ended by the memory limit";
    case Ended::How::kBroken:
      break;
  }
  return cancelled ? "cancelled" : "broken off";
}

}  // namespace

AnswerStream::AnswerStream(std::shared_ptr<ActiveQuestion> question, QuestionTable::Place place, int peer,
                           RowCounter counter, AnswerForm form, AuditLog* audit, AuditEvent event)
    : question_(std::move(question)),
      place_(std::move(place)),
      peer_(peer),
      counter_(std::move(counter)),
      form_(form),
      audit_(audit),
      event_(std::move(event)) {}

AnswerStream::~AnswerStream() {
  if (!ended_) {
    question_->cancel();
    ended_ = Ended{};
  }
  if (audit_ == nullptr) return;
  event_.event = "answered";
  event_.asked.clear();
  event_.input.clear();
  event_.reason.clear();
  event_.rows = counter_.rows();
  event_.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                         question_->begun);
  event_.outcome = outcome_of(*ended_, question_->cancelled);
  event_.warnings = one_line(question_->running.messages());
  // That it was asked stands there already.
  static_cast<void>(audit_->write(event_, to_ms(SystemClock().now())));
}

std::ptrdiff_t AnswerStream::read_output(std::span<char> room) {
  while (true) {
    std::array<pollfd, 2> waited{{{question_->running.output(), POLLIN, 0}, {peer_, POLLRDHUP, 0}}};
    if (::poll(waited.data(), waited.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    // Who asked has gone.
    if ((waited[1].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
      question_->cancel();
      return -1;
    }
    const ssize_t count = ::read(question_->running.output(), room.data(), room.size());
    if (count < 0 && errno == EINTR) continue;
    return count;
  }
}

void AnswerStream::end() {
  if (!ended_) ended_ = question_->running.wait();
}

HttpFields AnswerStream::trailer() {
  std::string warnings = form_.tells_itself ? std::string() : one_line(messages());
  // A field's value is ASCII as far as everybody reads it.
  for (char& c : warnings) {
    if (static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  if (warnings.empty()) return {};
  return {{kWarnings, std::move(warnings)}};
}

bool AnswerStream::wait_for_some() {
  first_.resize(kFirst);
  std::size_t size = 0;
  while (size < first_.size()) {
    const std::ptrdiff_t count = read_output(std::span(first_).subspan(size));
    if (count <= 0) {
      // Gone, or all of it is here.
      if (count == 0) end();
      break;
    }
    size += static_cast<std::size_t>(count);
    if (size >= first_.size() / 2) break;
  }
  first_.resize(size);
  if (size == 0 && !ended_) ended_ = Ended{};
  return size > 0;
}

bool AnswerStream::is_whole() const {
  if (!ended_ || ended_->how != Ended::How::kAnswered) return false;
  return form_.tells_itself || ended_->status == kDone ||
         (form_.may_find_nothing && ended_->status == kFailed);
}

std::ptrdiff_t AnswerStream::read(std::span<char> room) {
  std::ptrdiff_t count = 0;
  if (taken_ < first_.size()) {
    const std::size_t size = std::min(room.size(), first_.size() - taken_);
    std::memcpy(room.data(), first_.data() + taken_, size);
    taken_ += size;
    count = static_cast<std::ptrdiff_t>(size);
  } else if (!ended_) {
    count = read_output(room);
  }
  if (count > 0) {
    counter_.add({room.data(), static_cast<std::size_t>(count)});
    return count;
  }
  if (count == 0) end();
  return is_whole() ? 0 : -1;
}

}  // namespace natsession::console
