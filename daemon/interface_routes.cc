#include "interface_routes.h"

#include <algorithm>

namespace natsession {
namespace {

// Tables go from one InterfaceRoutes to another.
const Clock& clock_of_routes() {
  static const SystemClock clock;
  return clock;
}

}  // namespace

// Records have a namespace's name only where more than one is watched.
InterfaceRoutes::InterfaceRoutes(const Config& config, const std::string& netns, InterfaceTable interfaces)
    : netns_(config.netns.size() > 1 ? netns : ""),
      vpcs_(config.vpc_rules),
      interfaces_(std::move(interfaces)) {
  for (const InterfaceRule& rule : config.interface_rules)
    by_prefix_.push_back({rule.prefix, label_of_interface(rule.interface)});
  std::stable_sort(by_prefix_.begin(), by_prefix_.end(),
                   [](const Rule& a, const Rule& b) { return a.prefix.length() > b.prefix.length(); });
}

Result<std::unique_ptr<InterfaceRoutes>> InterfaceRoutes::open(const Config& config,
                                                               const std::string& netns) {
  auto interfaces = InterfaceTable::open();
  if (!interfaces) return interfaces.error();
  std::unique_ptr<InterfaceRoutes> made(new InterfaceRoutes(config, netns, std::move(*interfaces)));
  auto routes = RouteTable::open(clock_of_routes());
  if (!routes) return routes.error();
  made->routes_ = std::make_unique<RouteTable>(std::move(*routes));
  return made;
}

std::array<int, InterfaceRoutes::kDescriptors> InterfaceRoutes::descriptors() const {
  std::array<int, kDescriptors> all{};
  const auto of_interfaces = interfaces_->table().descriptors();
  const auto of_routes = routes_->descriptors();
  std::copy(of_routes.begin(), of_routes.end(),
            std::copy(of_interfaces.begin(), of_interfaces.end(), all.begin()));
  return all;
}

Result<std::unique_ptr<InterfaceRoutes>> InterfaceRoutes::adopt(
    const Config& config, const std::string& netns, std::span<UniqueFd, kDescriptors> descriptors) {
  auto interfaces = InterfaceTable::adopt(descriptors.first<InterfaceTable::kDescriptors>());
  if (!interfaces) return interfaces.error();
  std::unique_ptr<InterfaceRoutes> made(new InterfaceRoutes(config, netns, std::move(*interfaces)));
  made->routes_ = std::make_unique<RouteTable>(
      RouteTable::adopt(descriptors.last<RouteTable::kDescriptors>(), clock_of_routes()));
  return made;
}

void InterfaceRoutes::tell(InterfaceDirectory& directory) {
  directory_ = &directory;
  publish();
}

void InterfaceRoutes::refresh() {
  if (routes_ == nullptr) return;
  routes_->on_readable();
  if (interfaces_->refresh()) publish();
}

void InterfaceRoutes::leave() {
  routes_.reset();
  interfaces_.reset();
}

void InterfaceRoutes::go_on(InterfaceRoutes& with) {
  interfaces_ = std::move(with.interfaces_);
  routes_ = std::move(with.routes_);
  publish();
}

void InterfaceRoutes::publish() {
  if (directory_ == nullptr) return;
  KnownInterfaces known;
  for (const auto& [index, interface] : interfaces_->table().all()) {
    if (!interface.present || interface.name == kLoopbackInterface) continue;
    KnownInterface& one = known.emplace_back();
    one.name = interface.name;
    for (const InterfaceAddress& address : interface.addresses) {
      one.addresses.push_back(address.address);
      const std::string vpc(vpcs_.find(address.address, 0, 0));
      if (!vpc.empty() && std::find(one.vpc_ids.begin(), one.vpc_ids.end(), vpc) == one.vpc_ids.end())
        one.vpc_ids.push_back(vpc);
    }
  }
  directory_->set(netns_, std::move(known));
}

std::string_view InterfaceRoutes::towards(const IpAddress& to, const IpAddress& from, std::uint32_t mark) {
  for (const Rule& rule : by_prefix_) {
    if (rule.prefix.contains(to)) return rule.interface;
  }
  const Route route = routes_ == nullptr ? Route() : routes_->interface_of(to, mark, &from);
  switch (route.kind) {
    case Route::Kind::kInterface:
      return interfaces_->name_of(route.interface);
    case Route::Kind::kLocal:
      return kLoopbackInterface;
    case Route::Kind::kUnknown:
      break;
  }
  unknown_.fetch_add(1, std::memory_order_relaxed);
  return kUnknownInterface;
}

}  // namespace natsession
