#include "ask/interrupt.h"

#include <csignal>

namespace natsession::ctl {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int) {
  interrupted.store(true, std::memory_order_relaxed);
}

void set_action(void (*action)(int), int flags) {
  struct sigaction wanted {};
  wanted.sa_handler = action;
  wanted.sa_flags = flags;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &wanted, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  interrupted = false;
  set_action(on_signal, SA_RESTART | static_cast<int>(SA_RESETHAND));
}

Interrupt::~Interrupt() {
  set_action(SIG_DFL, 0);
}

const std::atomic<bool>& Interrupt::asked() {
  return interrupted;
}

}  // namespace natsession::ctl
