#include "interface_routes.h"

#include <algorithm>

namespace natsession {

Result<std::unique_ptr<InterfaceRoutes>> InterfaceRoutes::open(const Config& config,
                                                               const std::string& netns) {
  auto interfaces = InterfaceTable::open();
  if (!interfaces) return interfaces.error();
  std::unique_ptr<InterfaceRoutes> made(new InterfaceRoutes(config, netns, std::move(*interfaces)));
  auto routes = RouteTable::open(made->clock_);
  if (!routes) return routes.error();
  made->routes_ = std::make_unique<RouteTable>(std::move(*routes));
  for (const InterfaceRule& rule : config.interface_rules)
    made->by_prefix_.push_back({rule.prefix, label_of_interface(rule.interface)});
  std::stable_sort(made->by_prefix_.begin(), made->by_prefix_.end(),
                   [](const Rule& a, const Rule& b) { return a.prefix.length() > b.prefix.length(); });
  return made;
}

void InterfaceRoutes::tell(InterfaceDirectory& directory) {
  directory_ = &directory;
  publish();
}

void InterfaceRoutes::refresh() {
  routes_->on_readable();
  if (interfaces_.refresh()) publish();
}

void InterfaceRoutes::publish() {
  if (directory_ == nullptr) return;
  KnownInterfaces known;
  for (const auto& [index, interface] : interfaces_.table().all()) {
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
  const Route route = routes_->interface_of(to, mark, &from);
  switch (route.kind) {
    case Route::Kind::kInterface:
      return interfaces_.name_of(route.interface);
    case Route::Kind::kLocal:
      return kLoopbackInterface;
    case Route::Kind::kUnknown:
      break;
  }
  unknown_.fetch_add(1, std::memory_order_relaxed);
  return kUnknownInterface;
}

}  // namespace natsession
