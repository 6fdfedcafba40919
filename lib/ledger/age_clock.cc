// The file, in FORMAT.md's words:
//   clock = slot        ; 512 bytes, replaced as a whole
//   slot  = magic version length required generation reached since_boot stood ahead slow_from slow_until
//           slow_by boot_length boot zeros checksum
#include "ledger/age_clock.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/files.h"
#include "ledger/bytes.h"
#include "ledger/slot.h"

namespace natsession {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

constexpr std::string_view kClockName = "clock";
constexpr std::string_view kClockMagic = "NSLCLK\r\n";
// How old the file may be while nothing happens.
constexpr std::chrono::minutes kStoreInterval{10};

// No time is farther from 1970, nor from another: so their sums and differences are numbers, in ns as well.
constexpr milliseconds kFarthest{std::int64_t{1} << 42};

constexpr std::size_t kReachedAt = 24;
constexpr std::size_t kSinceBootAt = 32;
constexpr std::size_t kStoodAt = 40;
constexpr std::size_t kAheadAt = 48;
constexpr std::size_t kSlowFromAt = 56;
constexpr std::size_t kSlowUntilAt = 64;
constexpr std::size_t kSlowByAt = 72;
constexpr std::size_t kBootAt = 80;

void put_ms(SlotBytes& bytes, std::size_t at, milliseconds value) {
  put_time(bytes, at, UnixMs(value));
}
milliseconds get_ms(const SlotBytes& bytes, std::size_t at) {
  return get_time(bytes, at).time_since_epoch();
}

}  // namespace

struct AgeClockFile {
  using State = AgeClock::State;

  static SlotBytes encode(const State& state) {
    SlotBytes bytes = begin_slot(kClockMagic, 1);
    put_time(bytes, kReachedAt, state.reached);
    put_ms(bytes, kSinceBootAt, std::chrono::floor<milliseconds>(state.boot.since));
    put_ms(bytes, kStoodAt, state.doubt ? state.doubt->stood : milliseconds(-1));
    put_ms(bytes, kAheadAt, state.doubt ? state.doubt->ahead : milliseconds(0));
    put_time(bytes, kSlowFromAt, state.slow.from);
    put_time(bytes, kSlowUntilAt, state.slow.until);
    put_ms(bytes, kSlowByAt, state.slow.by);
    put_slot_text(bytes, kBootAt, state.boot.id);
    seal_slot(bytes);
    return bytes;
  }

  // Of a whole slot. Nothing if that cannot be.
  static std::optional<State> decode(const SlotBytes& bytes) {
    const auto is_possible = [&](std::size_t at) {
      return get_ms(bytes, at) <= kFarthest && get_ms(bytes, at) >= -kFarthest;
    };
    const bool never_slow =
        get_time(bytes, kSlowFromAt) == UnixMs::max() && get_time(bytes, kSlowUntilAt) == UnixMs::min();
    for (const std::size_t at : {kReachedAt, kSinceBootAt, kStoodAt, kAheadAt, kSlowByAt}) {
      if (!is_possible(at)) return std::nullopt;
    }
    if (!never_slow && (!is_possible(kSlowFromAt) || !is_possible(kSlowUntilAt))) return std::nullopt;
    State state;
    state.reached = get_time(bytes, kReachedAt);
    state.boot.since = get_ms(bytes, kSinceBootAt);
    if (const milliseconds stood = get_ms(bytes, kStoodAt); stood.count() >= 0)
      state.doubt = {stood, get_ms(bytes, kAheadAt)};
    state.slow = {get_time(bytes, kSlowFromAt), get_time(bytes, kSlowUntilAt), get_ms(bytes, kSlowByAt)};
    auto boot = slot_text(bytes, kBootAt);
    if (!boot) return std::nullopt;
    state.boot.id = std::move(*boot);
    return state;
  }

  static Result<std::optional<State>> read(const std::string& directory) {
    const std::string path = directory + "/" + std::string(kClockName);
    const auto fd = open_slots(directory, kClockName);
    if (!fd) return fd.error();
    if (!*fd) return std::optional<State>();
    SlotBytes bytes;
    const auto whole = read_slot((*fd)->get(), bytes, 0, kClockMagic, path);
    if (!whole) return whole.error();
    if (!*whole) return std::optional<State>();
    if (auto known = check_slot_version(bytes, path); !known) return known.error();
    return decode(bytes);
  }
};

Result<AgeClock> AgeClock::open(const std::string& directory, std::optional<UnixMs> known,
                                const Clock& clock) {
  auto state = AgeClockFile::read(directory);
  if (!state && state.error().kind == ErrorKind::kUnavailable) {
    return Error{ErrorKind::kUnavailable,
                 state.error().message +
                     ", and nothing is deleted; install that version again, or a later"
                     " one, or remove that file: ages then count from the oldest record"};
  }
  if (!state) return state.error();
  AgeClock age;
  const UnixMs wall = to_ms(clock.now());
  const UnixMs reached = std::max(UnixMs(-kFarthest), std::min(known.value_or(wall), wall));
  age.state_ = *state ? std::move(**state) : State{reached, clock.boot(), {}, {}};
  return age;
}

UnixMs AgeClock::look(const Clock& clock, milliseconds tolerance) {
  const UnixMs wall = to_ms(clock.now());
  const BootTime boot = clock.boot();
  const bool same_boot = boot.is_later_in(state_.boot);
  // How long the machine was off nobody knows.
  const auto passed =
      same_boot ? std::chrono::floor<milliseconds>(boot.since - state_.boot.since) : milliseconds(0);
  const UnixMs expected = state_.reached + passed;
  const milliseconds ahead = wall - expected;
  state_.boot = boot;
  const bool doubted = doubts();
  if (ahead > tolerance) {
    if (!state_.doubt && same_boot) {
      // It was slow before, or is fast now: until that is known, what was written counts as the younger.
      const UnixMs from = expected - std::chrono::floor<milliseconds>(boot.since);
      Slow& slow = state_.slow;
      // A machine without a clock of its own is slow after each boot, in the same old time.
      const bool again = slow.from <= expected && from <= slow.until;
      slow = again ? Slow{std::min(slow.from, from), std::max(slow.until, expected), ahead}
                   : Slow{from, expected, ahead};
    }
    if (!state_.doubt || ahead - state_.doubt->ahead > tolerance) {
      state_.doubt = {milliseconds(0), ahead};  // another one, or still moving
    } else {
      state_.doubt->stood += passed;
    }
    if (!clock.synchronised() && state_.doubt->stood < kDoubt) {
      changed_ = changed_ || !doubted;
      return state_.reached = expected;
    }
  } else if (same_boot && (doubted || -ahead > tolerance)) {
    state_.slow = {};  // it was fast, and was set right
    changed_ = true;
  }
  changed_ = changed_ || doubts();
  state_.doubt.reset();
  return state_.reached = wall;
}

UnixMs AgeClock::corrected(UnixMs time) const {
  const Slow& slow = state_.slow;
  return slow.from <= time && time <= slow.until ? time + slow.by : time;
}

Result<void> AgeClock::store(const std::string& directory, const Clock& clock) {
  const nanoseconds now = clock.steady();
  if (!changed_ && now - stored_at_ < kStoreInterval) return {};
  const SlotBytes bytes = AgeClockFile::encode(state_);
  const std::array<std::string_view, 1> parts{
      std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
  if (auto replaced = replace_file(directory, std::string(kClockName), parts); !replaced) return replaced;
  changed_ = false;
  stored_at_ = now;
  return {};
}

}  // namespace natsession
