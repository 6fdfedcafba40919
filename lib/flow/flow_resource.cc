#include "flow/flow_resource.h"

#include <algorithm>

namespace natsession {
namespace {

constexpr std::string_view kVpcPrefix = "vpc:";
constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ, less the NUL

bool may_name_interface(std::string_view text) {
  return !text.empty() && text.size() <= kMaxInterfaceName && text != "." && text != ".." &&
         std::none_of(text.begin(), text.end(), [](char c) {
           return c == '/' || c == ':' || static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
         });
}

}  // namespace

void InterfaceDirectory::set(const std::string& netns, KnownInterfaces interfaces) {
  known_.with([&](Known& known) {
    known.by_netns[netns] = std::make_shared<const KnownInterfaces>(std::move(interfaces));
    ++known.generation;
  });
}

std::shared_ptr<const KnownInterfaces> InterfaceDirectory::of(const std::string& netns) const {
  return known_.with([&](const Known& known) {
    const auto found = known.by_netns.find(netns);
    return found != known.by_netns.end() ? found->second : std::make_shared<const KnownInterfaces>();
  });
}

std::uint64_t InterfaceDirectory::generation() const {
  return known_.with([](const Known& known) { return known.generation; });
}

Result<FlowResource> FlowResource::parse(std::string_view text) {
  FlowResource resource;
  if (text == "nat") return resource;
  if (text.starts_with(kVpcPrefix) && text.size() > kVpcPrefix.size()) {
    resource.kind = Kind::kVpc;
    resource.name = text.substr(kVpcPrefix.size());
    return resource;
  }
  if (const auto prefix = Prefix::parse(text)) {
    resource.kind = Kind::kSubnet;
    resource.subnet = *prefix;
    return resource;
  }
  if (!may_name_interface(text)) {
    return usage_error("resource '" + std::string(text) +
                       "': an interface (eth1), a subnet (10.0.0.0/24), a vpc (vpc:blue) or nat");
  }
  resource.kind = Kind::kInterface;
  resource.name = text;
  return resource;
}

std::string FlowResource::to_string() const {
  switch (kind) {
    case Kind::kInterface:
      return name;
    case Kind::kSubnet:
      return subnet.to_string();
    case Kind::kVpc:
      return std::string(kVpcPrefix) + name;
    case Kind::kNat:
      break;
  }
  return "nat";
}

bool FlowResource::covers(const KnownInterface& interface) const {
  switch (kind) {
    case Kind::kInterface:
      return interface.name == name;
    case Kind::kSubnet:
      return std::any_of(interface.addresses.begin(), interface.addresses.end(),
                         [this](const IpAddress& address) { return subnet.contains(address); });
    case Kind::kVpc:
      return std::find(interface.vpc_ids.begin(), interface.vpc_ids.end(), name) != interface.vpc_ids.end();
    case Kind::kNat:
      break;
  }
  return true;
}

std::string_view to_string(FlowTraffic traffic) {
  switch (traffic) {
    case FlowTraffic::kAll:
      return "all";
    case FlowTraffic::kAccept:
      return "accept";
    case FlowTraffic::kReject:
      break;
  }
  return "reject";
}

}  // namespace natsession
