#include "delivery/doorbell.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include <ctime>

#include <unistd.h>

namespace natsession {
namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == 4 && std::atomic<std::uint32_t>::is_always_lock_free,
              "the kernel reads the counter in place");

}  // namespace

// Why no ring is missed: both sides write first and read second, in one total order (seq_cst). Either the
// ringer sees the sleeper and wakes it, or the sleeper's announcement came later, and then the kernel sees
// the new tally.
void Doorbell::ring() {
  tally_.fetch_add(1, std::memory_order_seq_cst);
  if (sleeper_.load(std::memory_order_seq_cst) == static_cast<std::uint32_t>(Sleep::kLight)) wake();
}

void Doorbell::ring_urgently() {
  tally_.fetch_add(1, std::memory_order_seq_cst);
  if (sleeper_.load(std::memory_order_seq_cst) != kAwake) wake();
}

void Doorbell::sleep(std::uint32_t tally, Sleep kind, std::optional<std::chrono::nanoseconds> limit) {
  if (limit && *limit <= std::chrono::nanoseconds::zero()) return;
  timespec timeout{};
  if (limit) {
    timeout.tv_sec = static_cast<std::time_t>(*limit / std::chrono::seconds(1));
    timeout.tv_nsec = static_cast<long>((*limit % std::chrono::seconds(1)).count());
  }
  sleeper_.store(static_cast<std::uint32_t>(kind), std::memory_order_seq_cst);
  // EAGAIN, EINTR and ETIMEDOUT all mean: look again.
  syscall(SYS_futex, &tally_, FUTEX_WAIT_PRIVATE, tally, limit ? &timeout : nullptr, nullptr, 0);
  sleeper_.store(kAwake, std::memory_order_seq_cst);
}

void Doorbell::wake() {
  // Announced as awake by the ringer: until the sleeper has run, further rings need no system call. It may
  // meanwhile have woken by itself and be on its way into a second sleep, which this announcement would hide
  // from all ringers: so the tally is moved once more behind it, and that sleep ends at once too.
  sleeper_.store(kAwake, std::memory_order_seq_cst);
  tally_.fetch_add(1, std::memory_order_seq_cst);
  syscall(SYS_futex, &tally_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace natsession
