#include "routes/route_list.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "net/netlink_attribute.h"
#include "routes/route_message.h"

namespace natsession {

void RouteList::start(RouteRegions regions) {
  if (max_prefixes_ == 0) {
    state_ = State::kCannot;
    return;
  }
  asked_for_ = std::move(regions);
  state_ = State::kMore;
  outdated_ = under_way_;
  family_ = 0;
}

void RouteList::ask(std::uint8_t family) {
  alignas(nlmsghdr) std::array<std::byte, 64> bytes{};
  nlmsghdr* const request = mnl_nlmsg_put_header(bytes.data());
  request->nlmsg_type = RTM_GETROUTE;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)))->rtm_family = family;
  family_ = family;
  answer_ = {};
  under_way_ = socket_.begin({bytes.data(), request->nlmsg_len}) == 0;
  if (!under_way_) state_ = State::kIdle;
}

RouteList::State RouteList::step() {
  if (state_ != State::kMore) return state_;
  if (under_way_) {
    const auto part =
        socket_.next_part(answer_, [this](const RouteSocket::Message& message) { take(message); });
    if (part == RouteSocket::Part::kMore) return state_;
    under_way_ = false;
    if (std::exchange(outdated_, false)) {
      family_ = 0;
    } else if (answer_.error_number != 0 || answer_.interrupted) {
      return state_ = State::kIdle;
    }
  }
  if (family_ == 0) {
    regions_ = asked_for_;
    several_ways_ = by_source_ = false;
    ask(AF_INET);
  } else if (family_ == AF_INET) {
    ask(AF_INET6);
  } else {
    const bool whole = !several_ways_ && regions_.prefixes() <= max_prefixes_;
    state_ = whole ? State::kWhole : State::kCannot;
    if (whole) regions_.finish();
  }
  return state_;
}

void RouteList::take(const RouteSocket::Message& message) {
  rtmsg route{};
  if (outdated_ || message.type != RTM_NEWROUTE || !load_host(message.payload, route)) return;
  if (route.rtm_family != family_) return;
  bool has_next_hop = false;
  bool has_interface = false;
  (void)for_each_attribute(attributes_behind<rtmsg>(message.payload), [&](const Attribute& attribute) {
    switch (attribute.type) {
      case RTA_DST:
      case RTA_SRC:
        if (const auto address = address_in(attribute.payload, family_);
            address && regions_.prefixes() <= max_prefixes_)
          regions_.add(
              Prefix::of(*address, attribute.type == RTA_DST ? route.rtm_dst_len : route.rtm_src_len));
        by_source_ |= attribute.type == RTA_SRC;
        return true;
      case RTA_OIF:
        has_interface = true;
        return true;
      case RTA_NH_ID:
        has_next_hop = true;
        return true;
      case RTA_MULTIPATH:
        several_ways_ = true;
        return true;
      default:
        return true;
    }
  });
  several_ways_ |= has_next_hop && !has_interface;  // perhaps: an object of its own, which may be a group
}

}  // namespace natsession
