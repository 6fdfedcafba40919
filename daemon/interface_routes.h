// InterfaceRoutes: by which interfaces flows come and go, for flow logs: what the configuration says, else
// the kernel's routes. It also tells which interfaces there are (flow/flow_resource.h).
// Threads: open() in the network namespace, all else on the collector's thread; counters() any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "config/config.h"
#include "flow/flow_resource.h"
#include "interface_names.h"
#include "routes/route_table.h"
#include "session/interface_finder.h"

namespace natsession {

class InterfaceRoutes final : public InterfaceFinder {
 public:
  // Errors: those of the tables.
  [[nodiscard]] static Result<std::unique_ptr<InterfaceRoutes>> open(const Config& config,
                                                                     const std::string& netns);
  // One that open() made in another process, of its descriptors there.
  static constexpr std::size_t kDescriptors = InterfaceTable::kDescriptors + RouteTable::kDescriptors;
  [[nodiscard]] std::array<int, kDescriptors> descriptors() const;
  [[nodiscard]] static Result<std::unique_ptr<InterfaceRoutes>> adopt(
      const Config& config, const std::string& netns, std::span<UniqueFd, kDescriptors> descriptors);

  // Before anything else: where to tell of interfaces. It outlives this.
  void tell(InterfaceDirectory& directory);
  // Takes what the kernel has told since. Never blocks.
  void refresh();
  // The namespace is gone: closes its sockets, and knows no interface until it goes on with another one's.
  void leave();
  void go_on(InterfaceRoutes& with);

  [[nodiscard]] std::string_view towards(const IpAddress& to, const IpAddress& from,
                                         std::uint32_t mark) override;

  // How often it was asked and did not know.
  [[nodiscard]] std::uint64_t unknown() const { return unknown_.load(std::memory_order_relaxed); }

 private:
  InterfaceRoutes(const Config& config, const std::string& netns, InterfaceTable interfaces);
  void publish();

  const std::string netns_;
  struct Rule {
    Prefix prefix;
    std::string_view interface;  // a label
  };
  std::vector<Rule> by_prefix_;  // the longest first
  VpcMap vpcs_;
  // None: they were left.
  std::optional<InterfaceNames> interfaces_;
  std::unique_ptr<RouteTable> routes_;
  InterfaceDirectory* directory_ = nullptr;
  std::atomic<std::uint64_t> unknown_{0};
};

}  // namespace natsession
