// RouteTable: by which interface the kernel would send to an address, asked by RTM_GETROUTE and remembered
// until a routing event says that something changed.
// Threads: one at a time: the caller's, who waits for fd() and calls on_readable().
//
// The cache is a table of sets of four, an entry a cache line; an answer may stand in either of two sets.
// What is asked anew takes the place of what was emptied, else of one after the other. So its memory is
// fixed, and a flood of addresses costs one question each, no more.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "base/huge_pages.h"
#include "base/result.h"
#include "base/seeded_hash.h"
#include "base/time.h"
#include "net/ip_address.h"
#include "routes/route_list.h"
#include "routes/route_regions.h"
#include "routes/route_socket.h"

namespace natsession {

struct Route {
  enum class Kind : std::uint8_t {
    kUnknown,    // there is no way, or the kernel would not say
    kInterface,  // by that interface
    kLocal,      // to this box itself (InterfaceTable::with_address() tells whose address it is)
  };
  Kind kind = Kind::kUnknown;
  std::uint32_t interface = 0;  // the index, of kInterface
  friend bool operator==(const Route&, const Route&) = default;
};

class RouteTable {
 public:
  static constexpr std::size_t kDefaultEntries = 65'536;  // of 64 bytes
  // What is not known now may be soon, without an event that tells: a daemon of routes that starts, say.
  static constexpr std::chrono::seconds kUnknownFor{1};

  // So many prefixes of routes and rules are few.
  static constexpr std::size_t kDefaultPrefixes = 4'096;

  // In the network namespace of the calling thread. `clock` outlives the table. `entries` is rounded up to a
  // power of two. `max_prefixes` 0: each address is asked for by itself.
  [[nodiscard]] static Result<RouteTable> open(const Clock& clock, std::size_t entries = kDefaultEntries,
                                               std::size_t max_prefixes = kDefaultPrefixes);

  // One that open() made in another process, of its descriptors there.
  static constexpr std::size_t kDescriptors = 3;
  [[nodiscard]] std::array<int, kDescriptors> descriptors() const {
    return {events_.fd(), questions_.fd(), list_.fd()};
  }
  [[nodiscard]] static RouteTable adopt(std::span<UniqueFd, kDescriptors> descriptors, const Clock& clock,
                                        std::size_t entries = kDefaultEntries,
                                        std::size_t max_prefixes = kDefaultPrefixes);

  [[nodiscard]] int fd() const { return events_.fd(); }
  // Takes what is queued; anything there, or lost, empties the cache.
  void on_readable();

  // The route to `to`, for a packet with `mark`. A look-up that the cache answers makes no system call; one
  // that it does not is one question to the kernel, which answers at once; and, while routes are listed, a
  // part of the list, up to 32 KiB. `from`, if there is one: where the packet comes from. It counts only
  // where a policy rule looks at sources or at interfaces of entry (by_source()), and then is a part of what
  // is remembered: where a packet is forwarded, the kernel is asked for the way in from there, as forwarding
  // asks it.
  [[nodiscard]] Route interface_of(const IpAddress& to, std::uint32_t mark = 0,
                                   const IpAddress* from = nullptr);

  // Whether a policy rule looks at the source, the interface of entry, or a VRF, or a route is for sources of
  // its own.
  [[nodiscard]] bool by_source();
  // Whether one looks at what no question here tells: ports, protocol, TOS, users. Routes that it chooses are
  // not known.
  [[nodiscard]] bool by_more();

  // Whether answers are those of regions, not of single addresses.
  [[nodiscard]] bool by_region() const { return by_region_; }
  [[nodiscard]] std::uint64_t asked() const { return asked_; }      // questions to the kernel
  [[nodiscard]] std::uint64_t unknown() const { return unknown_; }  // of these: not answered by an interface
  [[nodiscard]] std::uint64_t emptied() const { return emptied_; }  // times that events emptied the cache

 private:
  static constexpr std::size_t kWays = 4;
  // The addresses, the mark and what they are answered by. A generation other than the table's: empty.
  struct alignas(64) Entry {
    std::array<std::uint64_t, 2> to{};
    std::array<std::uint64_t, 2> from{};
    std::int64_t unknown_until_ns = 0;  // steady
    std::uint32_t mark = 0;
    std::uint32_t generation = 0;
    std::uint32_t interface = 0;
    Route::Kind kind = Route::Kind::kUnknown;
  };
  static_assert(sizeof(Entry) == 64);

  // How long after a list the next may begin: routes that change all the time are not listed all the time,
  // and too many not often.
  static constexpr std::chrono::seconds kListAfter{1};
  static constexpr std::chrono::seconds kListAgainAfter{60};

  RouteTable(RouteSocket events, RouteSocket questions, RouteList list, const Clock& clock,
             std::size_t entries);
  [[nodiscard]] Route ask(const IpAddress& to, std::uint32_t mark, const IpAddress* from);
  [[nodiscard]] Route ask_kernel(const IpAddress& to, std::uint32_t mark, const IpAddress* from,
                                 std::uint32_t in_interface);
  void learn_rules();
  void list_routes();
  void empty();

  RouteSocket events_;
  RouteSocket questions_;
  RouteList list_;
  const Clock* clock_;
  SeededHash hash_;
  std::vector<Entry, HugePageAllocator<Entry>> entries_;
  std::size_t mask_;  // of the first entry of a set
  std::uint32_t generation_ = 1;
  std::uint32_t next_way_ = 0;
  RouteRegions rule_regions_;
  std::int64_t list_from_ns_ = 0;  // steady: not before
  std::uint64_t listed_ = 0;       // emptied_ when the list began
  bool by_region_ = false;
  bool routes_by_source_ = false;
  bool rules_known_ = false;
  bool by_source_ = false;
  bool by_more_ = false;
  std::uint64_t asked_ = 0;
  std::uint64_t unknown_ = 0;
  std::uint64_t emptied_ = 0;
};

}  // namespace natsession
