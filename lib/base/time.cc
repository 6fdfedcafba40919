#include "base/time.h"

#include <sys/timex.h>

#include <array>
#include <charconv>
#include <ctime>
#include <limits>
#include <string>

#include "base/files.h"

namespace natsession {
namespace {

struct Unit {
  std::string_view suffix;
  std::int64_t milliseconds;
};

// Largest first: format_duration() takes the first that divides.
constexpr std::array<Unit, 5> kUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

}  // namespace

UnixNs SystemClock::now() const {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

std::chrono::nanoseconds SystemClock::steady() const {
  return std::chrono::steady_clock::now().time_since_epoch();
}

BootTime SystemClock::boot() const {
  static const std::string id = [] {
    const auto text = read_file("/proc/sys/kernel/random/boot_id", ByteCount{64}, ErrorKind::kIo);
    return text ? text->substr(0, text->find('\n')) : std::string();
  }();
  timespec time{};
  if (::clock_gettime(CLOCK_BOOTTIME, &time) != 0) return {};
  return {id, std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)};
}

bool SystemClock::synchronised() const {
  timex kernel{};  // no modes: it is only asked
  const int state = ::adjtimex(&kernel);
  return state >= 0 && state != TIME_ERROR && (kernel.status & STA_UNSYNC) == 0;
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  if (error == std::errc() && !text.starts_with('-')) {
    for (const Unit& unit : kUnits) {
      if (suffix != unit.suffix) continue;
      if (number > std::numeric_limits<std::int64_t>::max() / unit.milliseconds / 1'000'000) break;
      return std::chrono::milliseconds(number * unit.milliseconds);
    }
  }
  return Error{
      ErrorKind::kUsage,
      "'" + std::string(text) + "' is not a duration: a whole number and ms, s, m, h or d, such as 10m"};
}

std::string format_duration(std::chrono::milliseconds duration) {
  const std::int64_t count = duration.count();
  for (const Unit& unit : kUnits) {
    if (count != 0 && count % unit.milliseconds == 0) {
      return std::to_string(count / unit.milliseconds) + std::string(unit.suffix);
    }
  }
  return "0s";
}

}  // namespace natsession
