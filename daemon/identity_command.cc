#include "identity_command.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "messages.h"

namespace natsession {
namespace {

struct Pipe {
  UniqueFd reading, writing;
};
// Errors: kUnavailable.
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno, ErrorKind::kUnavailable);
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

IdentityCommand::~IdentityCommand() {
  input_ = UniqueFd();
  if (runs_) ChildProcess::stop(*runner_, {});
}

void IdentityCommand::start(IdentityOutput& output) {
  started_ = clock_.steady();
  auto input = make_pipe();
  auto told = make_pipe();
  if (!input || !told) return output.lost((input ? told : input).error().message);
  if (::fcntl(told->reading.get(), F_SETFL, O_NONBLOCK) != 0) return output.lost("its pipe waits");
  if (auto started = runner_->start(input->reading.get(), told->writing.get()); !started)
    return output.lost(started.error().message);
  input_ = std::move(input->writing);
  lines_.follow(std::move(told->reading));
  runs_ = true;
}

void IdentityCommand::put_off() {
  next_start_ = clock_.steady() + pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
}

std::chrono::milliseconds IdentityCommand::turn(UnixMs now, IdentityOutput& output) {
  constexpr std::chrono::seconds kLook{1};
  std::chrono::milliseconds next = kLook;
  if (!lines_.is_over()) next = std::min(next, lines_.turn(now, output));
  if (!lines_.is_over()) return next;
  if (runs_) {
    const auto end = runner_->ended();
    if (!end) {
      // It tells nothing any more, and nobody would hear why it goes on.
      input_ = UniqueFd();
      if (!ending_since_) ending_since_ = clock_.steady();
      runner_->signal(clock_.steady() - *ending_since_ < kPatience ? SIGTERM : SIGKILL);
      return kLook;
    }
    runs_ = false;
    ending_since_.reset();
    log_warning(fmt::format("identity {}: its command {}; it is started again in {} s", name(),
                            end->to_string(),
                            pause_.count()));  // and that it tells nothing any more, LinesSource has told
    if (clock_.steady() - started_ > kLongestPause) pause_ = kShortestPause;
    put_off();
  }
  if (clock_.steady() < next_start_) return kLook;
  start(output);
  if (!runs_) put_off();
  return std::chrono::milliseconds(0);
}

}  // namespace natsession
