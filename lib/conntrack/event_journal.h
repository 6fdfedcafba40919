// EventJournal: the DESTROY messages that were handled and whose records are not in the log's files yet, as
// bytes, in memory that outlives the process (event_region.h). A successor handles them once more. What else
// was received needs no second look: whatever a NEW or an UPDATE told, the session's DESTROY and the next
// dump tell again.
//
// Shape of the memory: a ring of entries, one behind the other, none across its end.
//   entry = ordinal (8) length (4) slot (4) round (8) message (length bytes, padded to 8)
//   ordinal  the records of all events up to this one have ordinals below; 0: they have none yet
//   length   of the message; kSkip: the rest of the ring is skipped
//   slot, round  where it was received, so that nothing is taken from there a second time
// Threads: one, the collector's; the state is read by a successor when that has ended.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace natsession {

class EventJournal {
 public:
  // Positions in bytes since the beginning; what is between them is there.
  struct State {
    std::atomic<std::uint64_t> begin{0};
    std::atomic<std::uint64_t> end{0};
    std::atomic<std::uint64_t> released{0};  // all ordinals below are in the files: those entries are gone
  };

  // Over what its predecessor left, or over zeroes. Without memory it keeps nothing, and always has room.
  EventJournal(State& state, std::span<std::byte> memory);

  // Whether `messages` of `bytes` each fit beside what is there.
  [[nodiscard]] bool has_room(std::size_t messages, std::size_t bytes) const;
  void add(std::span<const std::byte> message, std::uint64_t round, std::uint32_t slot);
  // The records of the first `count` messages that were added or taken since this was made have ordinals
  // below `end`. To be called before anybody can see these.
  void recorded(std::uint64_t count, std::uint64_t end);
  // What has ordinals up to `written` is in the files.
  void release(std::uint64_t written);

  // A successor, before it adds anything. `round` is the last one of all. False if what is to be in the files
  // of a log that ends at `written` is not, or if the memory is damaged.
  [[nodiscard]] bool take_up(std::uint64_t written, std::uint64_t round);
  // How many messages were taken up.
  [[nodiscard]] std::uint64_t taken() const { return taken_; }
  // Of what was taken up the next message; empty: that was all. It stays in the journal.
  [[nodiscard]] std::span<const std::byte> next();
  // Whether the message of that slot was taken up, of the round that was the last one then.
  [[nodiscard]] bool has(std::uint32_t slot) const;
  void clear();

 private:
  struct Entry {
    std::uint64_t ordinal;
    std::uint32_t length;
    std::uint32_t slot;
    std::uint64_t round;
  };
  static constexpr std::uint32_t kSkip = 0xffffffff;

  [[nodiscard]] std::byte* at(std::uint64_t position) const {
    return memory_.data() + position % memory_.size();
  }
  // The entry at `position`, behind a skip if there is one; nullopt at the end, or where it cannot be one.
  [[nodiscard]] std::optional<Entry> entry(std::uint64_t& position) const;
  [[nodiscard]] static std::uint64_t size_of(std::uint32_t length);

  State& state_;
  const std::span<std::byte> memory_;
  std::uint64_t recorded_count_ = 0;  // as recorded() was told
  std::uint64_t recorded_to_;         // where the first entry is that has no ordinal
  std::uint64_t taken_to_;            // where next() goes on
  std::uint64_t taken_end_;           // and ends
  std::uint64_t taken_ = 0;
  std::uint64_t last_round_ = 0;   // when it was taken up
  std::uint64_t last_round_from_;  // where its entries begin
};

}  // namespace natsession
