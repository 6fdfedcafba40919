// RouteList: lists the routes of a network namespace, part by part, and makes regions of them.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "routes/route_regions.h"
#include "routes/route_socket.h"

namespace natsession {

class RouteList {
 public:
  enum class State : std::uint8_t {
    kIdle,   // nothing was asked for, or it failed
    kMore,   // step() goes on
    kWhole,  // regions() are those of all routes
    // All of them can't be parted: there are more than `max_prefixes`, or one has several ways, among which
    // the kernel chooses by address.
    kCannot,
  };

  // `socket` has no other use. `max_prefixes` 0: never lists.
  RouteList(RouteSocket socket, std::size_t max_prefixes)
      : socket_(std::move(socket)), max_prefixes_(max_prefixes) {}

  [[nodiscard]] int fd() const { return socket_.fd(); }

  // From the beginning, with `regions` to add to: what rules ask for. A list that is under way is read to its
  // end first: the kernel gives up none.
  void start(RouteRegions regions);
  // Reads one part, of some hundred routes.
  State step();
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const RouteRegions& regions() const { return regions_; }
  // A route is for sources of its own (IPv6's "from").
  [[nodiscard]] bool by_source() const { return by_source_; }

 private:
  void ask(std::uint8_t family);
  void take(const RouteSocket::Message& message);

  RouteSocket socket_;
  std::size_t max_prefixes_;
  State state_ = State::kIdle;
  RouteSocket::Answer answer_;
  RouteRegions asked_for_;  // with what start() was called
  RouteRegions regions_;
  bool under_way_ = false;  // the kernel has parts left
  bool outdated_ = false;   // they are of a list that is not wanted any more
  std::uint8_t family_ = 0;
  bool several_ways_ = false;
  bool by_source_ = false;
};

}  // namespace natsession
