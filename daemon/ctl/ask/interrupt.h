// Interrupt: Ctrl-C and SIGTERM end a long question in good order; a second one ends the process at once.
// Threads: one object at a time; the flag is for any.
#pragma once

#include <atomic>

namespace natsession::ctl {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] static const std::atomic<bool>& asked();
};

// The exit status of a command that Ctrl-C ended: 128 + SIGINT, as a shell has it.
inline constexpr int kInterrupted = 130;

}  // namespace natsession::ctl
