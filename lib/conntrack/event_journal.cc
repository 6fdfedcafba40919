#include "conntrack/event_journal.h"

#include <algorithm>
#include <cstring>

namespace natsession {
namespace {

// One that is empty goes on at the front once it has come so far: what it touches stays as little as it
// needs.
constexpr std::uint64_t kBackToFront = std::uint64_t{1} << 20U;

}  // namespace

EventJournal::EventJournal(State& state, std::span<std::byte> memory)
    : state_(state),
      memory_(memory),
      recorded_to_(state.begin.load(std::memory_order_relaxed)),
      taken_to_(recorded_to_),
      taken_end_(recorded_to_),
      last_round_from_(recorded_to_) {}

std::uint64_t EventJournal::size_of(std::uint32_t length) {
  return sizeof(Entry) + (length + 7ULL) / 8 * 8;
}

bool EventJournal::has_room(std::size_t messages, std::size_t bytes) const {
  if (memory_.empty()) return true;
  const std::uint64_t used =
      state_.end.load(std::memory_order_relaxed) - state_.begin.load(std::memory_order_relaxed);
  const std::uint64_t one = size_of(static_cast<std::uint32_t>(bytes));
  // Another one for the end of the ring, where the next may have to be skipped over.
  return used + (messages + 1) * one <= memory_.size();
}

void EventJournal::add(std::span<const std::byte> message, std::uint64_t round, std::uint32_t slot) {
  if (memory_.empty()) return;
  const std::uint64_t size = size_of(static_cast<std::uint32_t>(message.size()));
  std::uint64_t end = state_.end.load(std::memory_order_relaxed);
  if (end == state_.begin.load(std::memory_order_relaxed) && end % memory_.size() >= kBackToFront) {
    end += memory_.size() - end % memory_.size();
    recorded_to_ = taken_to_ = taken_end_ = end;
    state_.begin.store(end, std::memory_order_release);  // beyond the end until that follows: empty
    state_.end.store(end, std::memory_order_release);
  }
  if (const std::uint64_t left = memory_.size() - end % memory_.size(); left < size) {
    if (left >= sizeof(Entry)) {
      const Entry skip{0, kSkip, 0, 0};
      std::memcpy(at(end), &skip, sizeof skip);
    }
    end += left;
  }
  const Entry entry{0, static_cast<std::uint32_t>(message.size()), slot, round};
  std::memcpy(at(end), &entry, sizeof entry);
  std::memcpy(at(end) + sizeof entry, message.data(), message.size());
  state_.end.store(end + size, std::memory_order_release);
}

std::optional<EventJournal::Entry> EventJournal::entry(std::uint64_t& position) const {
  const std::uint64_t end = state_.end.load(std::memory_order_relaxed);
  for (int looks = 0; looks < 2 && position < end; ++looks) {
    const std::uint64_t left = memory_.size() - position % memory_.size();
    Entry entry{0, kSkip, 0, 0};
    if (left >= sizeof entry) std::memcpy(&entry, at(position), sizeof entry);
    if (entry.length != kSkip) {
      const std::uint64_t size = size_of(entry.length);
      if (size > left || size > end - position) return std::nullopt;
      return entry;
    }
    position += left;
  }
  return std::nullopt;
}

void EventJournal::recorded(std::uint64_t count, std::uint64_t end) {
  if (memory_.empty()) return;
  for (; recorded_count_ < count; ++recorded_count_) {
    const auto next = entry(recorded_to_);
    if (!next) return;
    std::memcpy(at(recorded_to_), &end, sizeof end);  // the entry's ordinal is its first member
    recorded_to_ += size_of(next->length);
  }
  std::atomic_signal_fence(std::memory_order_release);
}

void EventJournal::release(std::uint64_t written) {
  if (memory_.empty()) return;
  std::uint64_t begin = state_.begin.load(std::memory_order_relaxed);
  std::uint64_t released = state_.released.load(std::memory_order_relaxed);
  while (begin < recorded_to_) {
    std::uint64_t place = begin;
    const auto first = entry(place);
    if (!first || first->ordinal > written) break;
    released = std::max(released, first->ordinal);
    begin = place + size_of(first->length);
  }
  state_.released.store(released, std::memory_order_release);
  state_.begin.store(begin, std::memory_order_release);
}

bool EventJournal::take_up(std::uint64_t written, std::uint64_t round) {
  if (state_.released.load(std::memory_order_acquire) > written) {
    clear();
    return false;
  }
  const std::uint64_t end = state_.end.load(std::memory_order_acquire);
  std::uint64_t place = state_.begin.load(std::memory_order_acquire);
  if (place > end || end - place > memory_.size()) {
    clear();  // between the two halves of a step to the front it is empty
    return place > end;
  }
  std::uint64_t released = state_.released.load(std::memory_order_relaxed);
  // Ordinals ascend: what is in the files comes first.
  for (auto next = entry(place); next && next->ordinal != 0 && next->ordinal <= written;
       next = entry(place)) {
    released = std::max(released, next->ordinal);
    place += size_of(next->length);
  }
  recorded_to_ = taken_to_ = place;
  taken_end_ = last_round_from_ = end;
  last_round_ = round;
  for (auto next = entry(place); next; next = entry(place)) {
    constexpr std::uint64_t kNone = 0;
    std::memcpy(at(place), &kNone, sizeof kNone);
    ++taken_;
    if (next->round == round) last_round_from_ = std::min(last_round_from_, place);
    place += size_of(next->length);
  }
  state_.released.store(released, std::memory_order_release);
  state_.begin.store(recorded_to_, std::memory_order_release);
  return place == end;  // else it is damaged from there on
}

std::span<const std::byte> EventJournal::next() {
  if (taken_to_ >= taken_end_) return {};
  const auto next = entry(taken_to_);
  if (!next || taken_to_ >= taken_end_) {
    taken_to_ = taken_end_;
    return {};
  }
  const std::span<const std::byte> message(at(taken_to_) + sizeof(Entry), next->length);
  taken_to_ += size_of(next->length);
  return message;
}

bool EventJournal::has(std::uint32_t slot) const {
  std::uint64_t place = last_round_from_;
  for (auto next = entry(place); next && place < taken_end_; next = entry(place)) {
    if (next->round == last_round_ && next->slot == slot) return true;
    place += size_of(next->length);
  }
  return false;
}

void EventJournal::clear() {
  const std::uint64_t end = state_.end.load(std::memory_order_relaxed);
  recorded_to_ = taken_to_ = taken_end_ = end;
  state_.released.store(0, std::memory_order_release);
  state_.begin.store(end, std::memory_order_release);
}

}  // namespace natsession
