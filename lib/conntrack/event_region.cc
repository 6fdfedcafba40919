#include "conntrack/event_region.h"

#include <new>

#include <unistd.h>

#include "conntrack/receive_ring.h"

namespace natsession {
namespace {

constexpr std::size_t kSlotsBytes = (ReceiveRing::kRegionBytes + 4095) / 4096 * 4096;

}  // namespace

EventRegion::EventRegion(MemoryRegion memory)
    : memory_(std::move(memory)),
      journal_(header().journal_state,
               memory_.bytes().subspan(kHeaderBytes + kSlotsBytes, header().journal)) {}

Result<std::shared_ptr<EventRegion>> EventRegion::make(std::size_t journal) {
  auto memory = MemoryRegion::shared("natsession", kHeaderBytes + kSlotsBytes + journal);
  if (!memory) return memory.error();
  Header* const header = ::new (memory->bytes().data()) Header;
  header->magic = kMagic;
  header->journal = journal;
  return std::shared_ptr<EventRegion>(new EventRegion(*std::move(memory)));
}

Result<std::shared_ptr<EventRegion>> EventRegion::adopt(UniqueFd fd) {
  auto memory = MemoryRegion::map(std::move(fd));
  if (!memory) return memory.error();
  constexpr std::size_t kLeast = kHeaderBytes + kSlotsBytes;
  const auto* const header = reinterpret_cast<const Header*>(memory->bytes().data());
  if (memory->bytes().size() < kLeast || header->magic != kMagic ||
      header->journal != memory->bytes().size() - kLeast || header->journal % 8 != 0) {
    return Error{ErrorKind::kMalformed,
                 "the memory that was handed over is of another version of natsessiond"};
  }
  return std::shared_ptr<EventRegion>(new EventRegion(*std::move(memory)));
}

std::span<std::byte> EventRegion::slots() const {
  return memory_.bytes().subspan(kHeaderBytes, ReceiveRing::kRegionBytes);
}

void EventRegion::set_owner(const RegionOwner& owner) {
  header().owner = owner;
  header().process = ::getpid();
  header().silence.store(false, std::memory_order_relaxed);
}

void EventRegion::set_settled(const std::optional<Settled>& settled) {
  if (!settled) return header().settled_in.store(kNotSettled, std::memory_order_release);
  const std::uint32_t next = header().settled_in.load(std::memory_order_relaxed) == 0 ? 1 : 0;
  header().settled[next] = *settled;
  header().settled_in.store(next, std::memory_order_release);
}

std::optional<Settled> EventRegion::settled() const {
  const std::uint32_t at = header().settled_in.load(std::memory_order_acquire);
  if (at >= kNotSettled || header().silence.load(std::memory_order_relaxed)) return std::nullopt;
  return header().settled[at];
}

}  // namespace natsession
