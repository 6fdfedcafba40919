#include "routes/interface_table.h"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "net/netlink_attribute.h"
#include "routes/route_message.h"

namespace natsession {
namespace {

constexpr int kAttempts = 5;  // to list what changes meanwhile

}  // namespace

Result<InterfaceTable> InterfaceTable::open() {
  auto events = RouteSocket::open();
  if (!events) return events.error();
  for (const unsigned group : {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR}) {
    if (const auto joined = events->join(group); !joined) return joined.error();
  }
  auto questions = RouteSocket::open();
  if (!questions) return questions.error();
  InterfaceTable table(*std::move(events), *std::move(questions));
  if (const auto listed = table.list(); !listed) return listed.error();
  return table;
}

Result<InterfaceTable> InterfaceTable::adopt(std::span<UniqueFd, kDescriptors> descriptors) {
  InterfaceTable table(RouteSocket(std::move(descriptors[0])), RouteSocket(std::move(descriptors[1])));
  if (const auto listed = table.list(); !listed) return listed.error();
  return table;
}

Result<bool> InterfaceTable::on_readable() {
  changed_ = false;
  if (!events_.take_events([this](const RouteSocket::Message& message) { take(message); })) complete_ = false;
  if (!complete_) {
    ++relisted_;
    if (const auto listed = list(); !listed) return listed.error();
    changed_ = true;
  }
  return changed_;
}

Result<void> InterfaceTable::list() {
  listed_.emplace();
  const auto links = list(RTM_GETLINK);
  const std::unordered_set<std::uint32_t> listed = *std::exchange(listed_, std::nullopt);
  if (!links) return links.error();
  std::vector<std::uint32_t> missing;
  for (auto& [index, interface] : interfaces_) {
    if (interface.present && !listed.contains(index)) missing.push_back(index);
    interface.addresses.clear();
  }
  for (const std::uint32_t index : missing) went(interfaces_.at(index));
  address_count_ = 0;
  if (const auto addresses = list(RTM_GETADDR); !addresses) return addresses.error();
  complete_ = true;
  return {};
}

Result<void> InterfaceTable::list(std::uint16_t type) {
  RouteSocket::Answer answer;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::array<std::byte, 64> bytes{};
    nlmsghdr* const request = mnl_nlmsg_put_header(bytes.data());
    request->nlmsg_type = type;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    mnl_nlmsg_put_extra_header(request, sizeof(rtgenmsg));
    answer = questions_.ask({bytes.data(), request->nlmsg_len},
                            [this](const RouteSocket::Message& message) { take(message); });
    if (answer.error_number == 0 && !answer.interrupted) return {};
    if (answer.error_number != 0 && answer.error_number != EBUSY && answer.error_number != EINTR) break;
  }
  // A list that was changed each time is whole all the same with the events that tell what changed it.
  if (answer.error_number == 0) return {};
  return system_error(type == RTM_GETLINK ? "list the interfaces" : "list the addresses of interfaces",
                      answer.error_number);
}

void InterfaceTable::take(const RouteSocket::Message& message) {
  if (message.type == RTM_NEWLINK || message.type == RTM_DELLINK) take_link(message);
  if (message.type == RTM_NEWADDR || message.type == RTM_DELADDR) take_address(message);
}

void InterfaceTable::take_link(const RouteSocket::Message& message) {
  ifinfomsg link{};
  // A bridge tells of its ports by the same types in a family of its own: one that leaves it is not gone.
  if (!load_host(message.payload, link) || link.ifi_family != AF_UNSPEC || link.ifi_index <= 0) return;
  const auto index = static_cast<std::uint32_t>(link.ifi_index);
  const auto found = interfaces_.find(index);
  if (message.type == RTM_DELLINK) {
    if (found != interfaces_.end() && found->second.present) went(found->second);
    return;
  }
  std::string name;
  std::uint32_t master = 0;
  bool whole = false;  // wireless drivers send links with a name and little else
  (void)for_each_attribute(attributes_behind<ifinfomsg>(message.payload), [&](const Attribute& attribute) {
    if (attribute.type == IFLA_IFNAME) {
      const auto* const text = reinterpret_cast<const char*>(attribute.payload.data());
      name.assign(text, strnlen(text, attribute.payload.size()));
    }
    if (attribute.type == IFLA_MASTER) (void)load_host(attribute.payload, master);
    whole |= attribute.type == IFLA_MTU;
    return true;
  });
  if (name.empty()) return;
  if (found == interfaces_.end() && interfaces_.size() - gone_.size() >= kMaxInterfaces) {
    ++left_out_;
    return;
  }
  if (listed_) listed_->insert(index);
  Interface& interface = interfaces_[index];
  if (!interface.present) {
    gone_.erase(std::find(gone_.begin(), gone_.end(), index));
    interface.addresses.clear();
  }
  changed_ |= interface.index == 0 || !interface.present || interface.name != name ||
              (whole && interface.master != master);
  interface.index = index;
  interface.present = true;
  interface.name = std::move(name);
  if (whole) interface.master = master;
}

void InterfaceTable::take_address(const RouteSocket::Message& message) {
  ifaddrmsg header{};
  if (!load_host(message.payload, header)) return;
  const auto found = interfaces_.find(header.ifa_index);
  if (found == interfaces_.end()) return;
  std::optional<IpAddress> local;
  std::optional<IpAddress> on_link;
  (void)for_each_attribute(attributes_behind<ifaddrmsg>(message.payload), [&](const Attribute& attribute) {
    if (attribute.type == IFA_LOCAL) local = address_in(attribute.payload, header.ifa_family);
    if (attribute.type == IFA_ADDRESS) on_link = address_in(attribute.payload, header.ifa_family);
    return true;
  });
  if (!on_link) on_link = local;
  if (!on_link) return;
  const InterfaceAddress address{local.value_or(*on_link), Prefix::of(*on_link, header.ifa_prefixlen)};
  auto& addresses = found->second.addresses;
  const auto place = std::find(addresses.begin(), addresses.end(), address);
  if (message.type == RTM_DELADDR) {
    if (place == addresses.end()) return;
    addresses.erase(place);
    --address_count_;
  } else {
    if (place != addresses.end()) return;
    if (address_count_ >= kMaxAddresses) {
      ++left_out_;
      return;
    }
    addresses.push_back(address);
    ++address_count_;
  }
  changed_ = true;
}

void InterfaceTable::went(Interface& interface) {
  changed_ = true;
  interface.present = false;
  address_count_ -= interface.addresses.size();
  interface.addresses.clear();
  gone_.push_back(interface.index);
  if (gone_.size() <= kMaxGone) return;
  interfaces_.erase(gone_.front());
  gone_.pop_front();
}

const Interface* InterfaceTable::find(std::uint32_t index) const {
  const auto found = interfaces_.find(index);
  return found == interfaces_.end() ? nullptr : &found->second;
}

const Interface* InterfaceTable::find(std::string_view name) const {
  for (const auto& [index, interface] : interfaces_) {
    if (interface.present && interface.name == name) return &interface;
  }
  return nullptr;
}

const Interface* InterfaceTable::with_address(const IpAddress& address) const {
  for (const auto& [index, interface] : interfaces_) {
    for (const InterfaceAddress& own : interface.addresses) {
      if (own.address == address) return &interface;
    }
  }
  return nullptr;
}

std::vector<std::uint32_t> InterfaceTable::within(const Prefix& prefix) const {
  std::vector<std::uint32_t> indexes;
  for (const auto& [index, interface] : interfaces_) {
    const bool inside =
        std::any_of(interface.addresses.begin(), interface.addresses.end(),
                    [&](const InterfaceAddress& own) { return prefix.contains(own.address); });
    if (inside) indexes.push_back(index);
  }
  std::sort(indexes.begin(), indexes.end());
  return indexes;
}

}  // namespace natsession
