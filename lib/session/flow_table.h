// FlowTable: the sessions of one address family, found by key.
// Cells live in a slab and never move; the index is an array of chain heads, doubled when there are more
// sessions than heads. An IPv4 session takes 56 bytes and 4 to 8 of index.
// Threads: one.
#pragma once

#include <vector>

#include "session/session.h"
#include "session/slab.h"

namespace natsession {

template <typename Family>
class FlowTable {
 public:
  using Cell = Session<Family>;
  using Key = FlowKey<Family>;
  static constexpr std::uint32_t kNone = Slab<Cell>::kNone;

  [[nodiscard]] Cell* find(const Key& key, std::uint64_t hash) {
    for (std::uint32_t index = head(hash); index != kNone; index = cells_[index].next) {
      Cell& cell = cells_[index];
      if (cell.key == key) return &cell;
    }
    return nullptr;
  }

  // Asks the memory for what find() will look at, each for many keys before the next: the head of the chain,
  // then its first cell, then the second one, where the first is not of the key. Inlined by force: GCC takes
  // a function that only prefetches for one without effect, and leaves out its calls.
  [[gnu::always_inline]] void prefetch_head(std::uint64_t hash) { __builtin_prefetch(&head(hash)); }
  [[gnu::always_inline]] void prefetch_cell(std::uint64_t hash) { prefetch(head(hash)); }
  [[gnu::always_inline]] void prefetch_second(const Key& key, std::uint64_t hash) {
    const std::uint32_t first = head(hash);
    if (first != kNone && !(cells_[first].key == key)) prefetch(cells_[first].next);
  }

  // The key must not be in the table. The cell is live, with no history and all else zero.
  Cell& insert(const Key& key, std::uint64_t hash) {
    if (cells_.used() >= heads_.size()) grow();
    const std::uint32_t index = cells_.allocate();
    if (index >= end_) end_ = index + 1;
    Cell& cell = cells_[index];
    cell.key = key;
    cell.flags = Cell::kLive;
    cell.history = kNone;
    link(index, hash);
    return cell;
  }

  // The cell must be of this table; it is gone afterwards.
  void erase(Cell& cell, std::uint64_t hash) {
    std::uint32_t* link = &head(hash);
    while (&cells_[*link] != &cell) link = &cells_[*link].next;
    const std::uint32_t index = *link;
    *link = cell.next;
    cell.flags = 0;
    cells_.release(index);
  }

  [[nodiscard]] std::size_t size() const { return cells_.used(); }
  [[nodiscard]] std::size_t bytes() const {
    return cells_.bytes() + heads_.capacity() * sizeof(std::uint32_t);
  }

  // Calls `visit(Cell&)` for the live cells among `count` positions from `cursor` on, and returns the next
  // cursor; past the last position it returns end(). `visit` may erase the cell that it is given, and no
  // other.
  template <typename Visit>
  std::uint32_t scan(std::uint32_t cursor, std::uint32_t count, Visit&& visit) {
    for (; count > 0 && cursor < end_; --count, ++cursor) {
      Cell& cell = cells_[cursor];
      if (cell.has(Cell::kLive)) visit(cell);
    }
    return cursor;
  }
  [[nodiscard]] std::uint32_t end() const { return end_; }

 private:
  static constexpr std::size_t kFirstSize = 1024;  // a power of two
  using Heads = std::vector<std::uint32_t, HugePageAllocator<std::uint32_t>>;

  // Both lines: most cells lie across two.
  [[gnu::always_inline]] void prefetch(std::uint32_t index) {
    if (index == kNone) return;
    const char* const cell = reinterpret_cast<const char*>(&cells_[index]);
    __builtin_prefetch(cell, 1);
    __builtin_prefetch(cell + sizeof(Cell) - 1, 1);
  }

  std::uint32_t& head(std::uint64_t hash) { return heads_[hash & (heads_.size() - 1)]; }

  void link(std::uint32_t index, std::uint64_t hash) {
    std::uint32_t& first = head(hash);
    cells_[index].next = first;
    first = index;
  }

  void grow() {
    heads_.assign(heads_.size() * 2, kNone);
    for (std::uint32_t index = 0; index < end_; ++index) {
      if (cells_[index].has(Cell::kLive)) link(index, hash_key(cells_[index].key));
    }
  }

  Slab<Cell> cells_;
  Heads heads_ = Heads(kFirstSize, kNone);
  std::uint32_t end_ = 0;  // one behind the highest index that was ever used
};

}  // namespace natsession
