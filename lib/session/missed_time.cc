#include "session/missed_time.h"

#include <algorithm>

namespace natsession {
namespace {

using std::chrono::milliseconds;

// The wall clock and the time since boot are not read in one moment.
constexpr milliseconds kJitter{10};
// What lies so little ahead of now is over before anybody can ask about it.
constexpr milliseconds kAhead{1000};

}  // namespace

MissedTime missed_over(UnixMs since, milliseconds passed, UnixMs now) {
  const UnixMs expected = since + passed;
  if (expected <= now + kJitter) return {std::min(since, now), {}};
  MissedTime missed{std::min(since, now - passed), {}};
  if (expected > now + kAhead) missed = {now - passed, MissedTime::Span{since, expected}};
  return missed;
}

MissedTime missed_since(UnixMs logged_until, const Booted& then, const Clock& clock) {
  const UnixMs now = to_ms(clock.now());
  const BootTime boot = clock.boot();
  const auto up = std::chrono::floor<milliseconds>(boot.since);
  milliseconds passed{};
  if (!boot.id.empty() && boot.id == then.id) {
    passed = up - (logged_until - then.at);
  } else if (logged_until > now) {
    passed = up;
  } else {
    return {logged_until, {}};
  }
  return missed_over(logged_until, std::clamp(passed, milliseconds(0), up), now);
}

}  // namespace natsession
