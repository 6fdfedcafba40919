// InterfaceTable: the interfaces of a network namespace, their names and addresses, kept true by rtnetlink's
// events.
// Threads: one at a time: the caller's, who waits for fd() and calls on_readable().
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "net/ip_address.h"
#include "routes/route_socket.h"

namespace natsession {

struct InterfaceAddress {
  IpAddress address;  // the interface's own
  Prefix prefix;      // the network on the link; of a point-to-point link the other end's
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct Interface {
  std::uint32_t index = 0;
  std::string name;          // any bytes but '/', ':' and white space: the kernel asks for no more
  std::uint32_t master = 0;  // the bridge, bond or VRF that it is a port of; 0: none
  bool present = true;       // false: it was there, and its name still stands for it
  std::vector<InterfaceAddress> addresses;
};

class InterfaceTable {
 public:
  // Beyond these an interface or address is left out, and counted.
  static constexpr std::size_t kMaxInterfaces = 65'536;
  static constexpr std::size_t kMaxAddresses = 262'144;
  // So many that are gone are kept, so that what they did can still be told by name.
  static constexpr std::size_t kMaxGone = 4'096;

  // In the network namespace of the calling thread. Joins first and lists then, so nothing falls between.
  [[nodiscard]] static Result<InterfaceTable> open();
  // One that open() made in another process, of its descriptors there.
  static constexpr std::size_t kDescriptors = 2;
  [[nodiscard]] std::array<int, kDescriptors> descriptors() const { return {events_.fd(), questions_.fd()}; }
  [[nodiscard]] static Result<InterfaceTable> adopt(std::span<UniqueFd, kDescriptors> descriptors);

  [[nodiscard]] int fd() const { return events_.fd(); }
  // Takes what is queued; true if that changed the table. Lists all anew where events were lost.
  // Errors: the list could not be had. What is known may be old then, and the next call tries again.
  Result<bool> on_readable();

  // Also one that is gone; nullptr: never seen. Valid until the next on_readable().
  [[nodiscard]] const Interface* find(std::uint32_t index) const;
  // Only one that is there. This goes through all, as do the next two.
  [[nodiscard]] const Interface* find(std::string_view name) const;
  // The one that has this very address; nullptr: none.
  [[nodiscard]] const Interface* with_address(const IpAddress& address) const;
  // Those that are there and have an address in the prefix, by index.
  [[nodiscard]] std::vector<std::uint32_t> within(const Prefix& prefix) const;
  // All, in no order.
  [[nodiscard]] const std::unordered_map<std::uint32_t, Interface>& all() const { return interfaces_; }

  [[nodiscard]] std::uint64_t relisted() const { return relisted_; }  // times that events were lost
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }  // by the limits

 private:
  InterfaceTable(RouteSocket events, RouteSocket questions)
      : events_(std::move(events)), questions_(std::move(questions)) {}
  Result<void> list();
  Result<void> list(std::uint16_t type);
  void take(const RouteSocket::Message& message);
  void take_link(const RouteSocket::Message& message);
  void take_address(const RouteSocket::Message& message);
  void went(Interface& interface);

  RouteSocket events_;
  RouteSocket questions_;
  std::unordered_map<std::uint32_t, Interface> interfaces_;
  std::optional<std::unordered_set<std::uint32_t>> listed_;  // while links are listed: which have come
  std::deque<std::uint32_t> gone_;                           // the oldest first
  std::size_t address_count_ = 0;
  bool complete_ = false;
  bool changed_ = false;
  std::uint64_t relisted_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace natsession
