// EventRegion: what outlives a collector's process beside its event socket, so that another one goes on where
// it ended: what was received and not yet handled, what was handled and is not yet in the log's files, and
// until when the log was known to be complete. It is a memfd: whoever holds its descriptor (the service
// manager, the guard) keeps it.
//
// Shape: Header (a page), the slots of a ReceiveRing, the memory of an EventJournal.
// Threads: one, the collector's; the pulse as it says. What a killed process was just writing is written so that
// it is whole, or not there yet.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/memory_region.h"
#include "conntrack/event_journal.h"
#include "session/collector.h"
#include "session/table_guard.h"

namespace natsession {

// Of whom a region is. A successor that is set up otherwise takes over nothing, but for NEW and UPDATE.
struct RegionOwner {
  // In `events`: nobody was to hear of a session before its end, which tells by the kernel's stamp when it
  // began.
  static constexpr std::uint32_t kTrustsStamps = 8;

  std::uint64_t netns_device = 0;
  std::uint64_t netns_inode = 0;
  std::uint64_t ledger_device = 0;
  std::uint64_t ledger_inode = 0;
  std::uint32_t events = 0;  // the groups at this time, and what the kernel's filter passes
  friend bool operator==(const RegionOwner&, const RegionOwner&) = default;
};

// What the log's files prove, with all that belongs to it in them.
struct Settled {
  Continuation continuation;
  std::uint64_t conditions = 0;  // of coverage
};

class EventRegion {
 public:
  // `journal`: bytes, a multiple of 8; 0: a successor is told nothing of what was handled.
  [[nodiscard]] static Result<std::shared_ptr<EventRegion>> make(std::size_t journal);
  // One that another process has made, and does not use any more.
  // Errors: kMalformed if it is none, or of another version of this program.
  [[nodiscard]] static Result<std::shared_ptr<EventRegion>> adopt(UniqueFd memory);
  static constexpr std::size_t kJournalBytes = std::size_t{64} << 20U;

  [[nodiscard]] int fd() const { return memory_.fd(); }
  [[nodiscard]] Pulse& pulse() const { return header().pulse; }
  [[nodiscard]] std::span<std::byte> slots() const;
  [[nodiscard]] std::atomic<std::uint64_t>& rounds() const { return header().rounds; }
  [[nodiscard]] EventJournal& journal() { return journal_; }

  [[nodiscard]] RegionOwner owner() const { return header().owner; }
  [[nodiscard]] pid_t process() const { return header().process; }
  // The calling process has it from now on.
  void set_owner(const RegionOwner& owner);

  // None: what comes after a kill is a gap.
  void set_settled(const std::optional<Settled>& settled);
  [[nodiscard]] std::optional<Settled> settled() const;

  // When the collector last came round, steady: about when it ended.
  void turned(std::chrono::nanoseconds steady) const {
    header().turned_at.store(steady.count(), std::memory_order_relaxed);
  }
  [[nodiscard]] std::chrono::nanoseconds turned_at() const {
    return std::chrono::nanoseconds(header().turned_at.load(std::memory_order_relaxed));
  }
  // The guard's: it saw that the kernel sends no events (nf_conntrack_events), or does not stamp although
  // that is trusted, while nobody else looked.
  void saw_silence() const { header().silence.store(true, std::memory_order_relaxed); }

 private:
  struct Header {
    std::uint64_t magic = 0;
    std::uint64_t journal = 0;
    RegionOwner owner;
    pid_t process = 0;
    alignas(64) Pulse pulse;
    alignas(64) std::atomic<std::uint64_t> rounds{0};
    EventJournal::State journal_state;
    std::atomic<std::int64_t> turned_at{0};
    std::atomic<bool> silence{false};
    std::array<Settled, 2> settled{};
    std::atomic<std::uint32_t> settled_in{kNotSettled};
  };
  static constexpr std::uint32_t kNotSettled = 2;
  // Another layout has another number, and so has one of other members inside.
  static constexpr std::uint64_t kMagic = 0x6e61745f72673100 + sizeof(Settled);
  static constexpr std::size_t kHeaderBytes = 4096;
  static_assert(sizeof(Header) <= kHeaderBytes);

  explicit EventRegion(MemoryRegion memory);
  [[nodiscard]] Header& header() const {
    return *reinterpret_cast<Header*>(memory_.bytes().data());  // made by make()
  }

  MemoryRegion memory_;
  EventJournal journal_;
};

}  // namespace natsession
