// A wall clock that can be set, of one process: to be preloaded (LD_PRELOAD). It is ahead of the machine's by
// as many seconds as the file $SHIFTED_CLOCK tells (8 bytes, the machine's byte order), which may change at
// any time. The clocks that count from boot are the machine's.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <fcntl.h>
#include <unistd.h>

namespace {

using Seconds = std::atomic<std::int64_t>;

Seconds no_shift{0};

// Mapped, so that the file is not opened again for each look: whoever looks may not open files any more.
const Seconds& map_shift() {
  const char* const path = std::getenv("SHIFTED_CLOCK");
  const int file = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return no_shift;
  void* const mapped = ::mmap(nullptr, sizeof(Seconds), PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  return mapped == MAP_FAILED ? no_shift : *static_cast<const Seconds*>(mapped);
}

bool is_wall_clock(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

}  // namespace

extern "C" {
int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static const Seconds& shift = map_shift();
  const long result = ::syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && is_wall_clock(clock)) time->tv_sec += shift.load(std::memory_order_relaxed);
  return static_cast<int>(result);
}

int gettimeofday(timeval* time, void* /*zone*/) noexcept {
  timespec now{};
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return result;
}

int adjtimex(timex* told) noexcept {
  if (::syscall(SYS_adjtimex, told) < 0) return -1;
  told->status |= STA_UNSYNC;
  return TIME_ERROR;
}

time_t time(time_t* time) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (time != nullptr) *time = now.tv_sec;
  return now.tv_sec;
}
}
