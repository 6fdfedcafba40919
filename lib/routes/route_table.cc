#include "routes/route_table.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "net/netlink_attribute.h"
#include "routes/route_message.h"

namespace natsession {
namespace {

// The interface's own events are among them since IPv4 tells of no route that goes with its interface or
// address.
constexpr std::array kGroups{RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                             RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE};
constexpr unsigned kNexthopGroup =
    32;  // RTNLGRP_NEXTHOP; kernels before 5.3 have neither it nor such objects

std::array<std::uint64_t, 2> words_of(const IpAddress& address) {
  return std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
}

void put_address(nlmsghdr* request, std::uint16_t type, const IpAddress& address) {
  if (address.is_v4()) {
    mnl_attr_put_u32(request, type, address.v4());  // network byte order already
  } else {
    mnl_attr_put(request, type, address.bytes().size(), address.bytes().data());
  }
}

Route route_in(const RouteSocket::Message& message) {
  rtmsg header{};
  if (message.type != RTM_NEWROUTE || !load_host(message.payload, header)) return {};
  Route route;
  (void)for_each_attribute(attributes_behind<rtmsg>(message.payload), [&](const Attribute& attribute) {
    if (attribute.type == RTA_OIF) (void)load_host(attribute.payload, route.interface);
    return true;
  });
  switch (header.rtm_type) {
    case RTN_LOCAL:
    case RTN_ANYCAST:
      return {Route::Kind::kLocal, 0};
    case RTN_UNICAST:
    case RTN_BROADCAST:
    case RTN_MULTICAST:
      route.kind = route.interface == 0 ? Route::Kind::kUnknown : Route::Kind::kInterface;
      return route;
    default:  // unreachable, blackhole, prohibit: IPv6 answers so, by way of lo
      return {};
  }
}

}  // namespace

RouteTable::RouteTable(RouteSocket events, RouteSocket questions, RouteList list, const Clock& clock,
                       std::size_t entries)
    : events_(std::move(events)),
      questions_(std::move(questions)),
      list_(std::move(list)),
      clock_(&clock),
      hash_(SeededHash::random()),
      entries_(std::bit_ceil(std::max(entries, kWays))),
      mask_((entries_.size() - 1) & ~(kWays - 1)) {}

Result<RouteTable> RouteTable::open(const Clock& clock, std::size_t entries, std::size_t max_prefixes) {
  auto events = RouteSocket::open();
  if (!events) return events.error();
  for (const unsigned group : kGroups) {
    if (const auto joined = events->join(group); !joined) return joined.error();
  }
  (void)events->join(kNexthopGroup);
  auto questions = RouteSocket::open();
  if (!questions) return questions.error();
  auto lists = RouteSocket::open();
  if (!lists) return lists.error();
  return RouteTable(*std::move(events), *std::move(questions), RouteList(*std::move(lists), max_prefixes),
                    clock, entries);
}

RouteTable RouteTable::adopt(std::span<UniqueFd, kDescriptors> descriptors, const Clock& clock,
                             std::size_t entries, std::size_t max_prefixes) {
  return RouteTable(RouteSocket(std::move(descriptors[0])), RouteSocket(std::move(descriptors[1])),
                    RouteList(RouteSocket(std::move(descriptors[2])), max_prefixes), clock, entries);
}

void RouteTable::on_readable() {
  bool any = false;
  const bool whole = events_.take_events([&](const RouteSocket::Message& message) {
    any = true;
    if (message.type == RTM_NEWRULE || message.type == RTM_DELRULE) rules_known_ = false;
  });
  if (!whole) rules_known_ = false;
  if (any || !whole) empty();
}

void RouteTable::empty() {
  ++emptied_;
  by_region_ = false;
  if (++generation_ != 0) return;
  std::fill(entries_.begin(), entries_.end(), Entry{});
  generation_ = 1;
}

Route RouteTable::interface_of(const IpAddress& to, std::uint32_t mark, const IpAddress* from) {
  if (!rules_known_) learn_rules();
  if (!by_source_ && !routes_by_source_) from = nullptr;
  // What is remembered is the answer of a region, under its first address.
  const auto words = [this](const IpAddress& address) {
    return words_of(by_region_ ? list_.regions().first_of(address) : address);
  };
  const std::array<std::uint64_t, 2> to_words = words(to);
  const std::array<std::uint64_t, 2> from_words =
      from == nullptr ? std::array<std::uint64_t, 2>{} : words(*from);
  const std::uint64_t hash =
      hash_(std::array<std::uint64_t, 5>{to_words[0], to_words[1], from_words[0], from_words[1], mark});
  // Two sets, either of which would do: with one, sets overflow long before the table is full.
  const std::array sets{&entries_[hash & mask_], &entries_[hash >> 32U & mask_]};
  Entry* free = nullptr;
  for (Entry* const set : sets) {
    for (Entry* entry = set; entry != set + kWays; ++entry) {
      if (entry->generation != generation_) {
        if (free == nullptr) free = entry;
        continue;
      }
      if (entry->to != to_words || entry->from != from_words || entry->mark != mark) continue;
      if (entry->kind != Route::Kind::kUnknown || clock_->steady().count() < entry->unknown_until_ns)
        return {entry->kind, entry->interface};
      entry->generation = generation_ - 1;
      free = entry;
    }
  }
  const Route route = ask(to, mark, from);
  Entry& entry = free != nullptr ? *free : sets[0][next_way_++ % kWays];
  entry = {to_words,  from_words,  clock_->steady().count() + std::chrono::nanoseconds(kUnknownFor).count(),
           mark,      generation_, route.interface,
           route.kind};
  if (!by_region_) list_routes();
  return route;
}

// A part of the list, where one is due: whoever asks for an address that is not remembered pays for it.
void RouteTable::list_routes() {
  const std::int64_t now = clock_->steady().count();
  if (list_.state() != RouteList::State::kMore) {
    if (now < list_from_ns_) return;
    list_from_ns_ = now + std::chrono::nanoseconds(kListAfter).count();
    listed_ = emptied_;
    list_.start(rule_regions_);
  }
  const RouteList::State state = list_.step();
  if (state == RouteList::State::kCannot)
    list_from_ns_ = now + std::chrono::nanoseconds(kListAgainAfter).count();
  // If something changed meanwhile, another list will tell.
  if (listed_ != emptied_ || (state != RouteList::State::kWhole && state != RouteList::State::kCannot))
    return;
  by_region_ = state == RouteList::State::kWhole;
  // What was remembered stays: answers with a source and those without are not under one key.
  routes_by_source_ = list_.by_source();
}

Route RouteTable::ask(const IpAddress& to, std::uint32_t mark, const IpAddress* from) {
  Route route;
  if (from != nullptr && from->is_v4() == to.is_v4()) {
    const Route back = interface_of(*from, mark);
    if (back.kind != Route::Kind::kUnknown) route = ask_kernel(to, mark, from, back.interface);
  }
  // What the kernel would not forward from there (its filter of reverse paths, say) may still have a way.
  if (route.kind == Route::Kind::kUnknown) route = ask_kernel(to, mark, nullptr, 0);
  unknown_ += route.kind == Route::Kind::kUnknown ? 1 : 0;
  return route;
}

Route RouteTable::ask_kernel(const IpAddress& to, std::uint32_t mark, const IpAddress* from,
                             std::uint32_t in_interface) {
  ++asked_;
  alignas(nlmsghdr) std::array<std::byte, 128> bytes{};
  nlmsghdr* const request = mnl_nlmsg_put_header(bytes.data());
  request->nlmsg_type = RTM_GETROUTE;
  request->nlmsg_flags = NLM_F_REQUEST;
  auto* const header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
  header->rtm_family = to.is_v4() ? AF_INET : AF_INET6;
  header->rtm_dst_len = to.is_v4() ? 32 : 128;
  put_address(request, RTA_DST, to);
  if (from != nullptr) {
    header->rtm_src_len = header->rtm_dst_len;
    put_address(request, RTA_SRC, *from);
  }
  if (in_interface != 0) mnl_attr_put_u32(request, RTA_IIF, in_interface);
  if (mark != 0) mnl_attr_put_u32(request, RTA_MARK, mark);
  Route route;
  const auto answer = questions_.ask({bytes.data(), request->nlmsg_len},
                                     [&](const RouteSocket::Message& message) { route = route_in(message); });
  return answer.error_number == 0 ? route : Route{};
}

bool RouteTable::by_source() {
  if (!rules_known_) learn_rules();
  return by_source_ || routes_by_source_;
}

bool RouteTable::by_more() {
  if (!rules_known_) learn_rules();
  return by_more_;
}

void RouteTable::learn_rules() {
  rules_known_ = true;
  by_source_ = by_more_ = false;
  rule_regions_ = RouteRegions();
  for (const int family : {AF_INET, AF_INET6}) {
    alignas(nlmsghdr) std::array<std::byte, 64> bytes{};
    nlmsghdr* const request = mnl_nlmsg_put_header(bytes.data());
    request->nlmsg_type = RTM_GETRULE;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* const header =
        static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(request, sizeof(fib_rule_hdr)));
    header->family = static_cast<std::uint8_t>(family);
    // A kernel without policy routing refuses: then there is none to heed. A list that was changed meanwhile
    // is followed by an event, which asks for it again.
    (void)questions_.ask({bytes.data(), request->nlmsg_len}, [this](const RouteSocket::Message& message) {
      fib_rule_hdr rule{};
      if (message.type != RTM_NEWRULE || !load_host(message.payload, rule)) return;
      by_source_ |= rule.src_len != 0;
      by_more_ |= rule.tos != 0;
      (void)for_each_attribute(
          attributes_behind<fib_rule_hdr>(message.payload), [&](const Attribute& attribute) {
            const bool is_address = attribute.type == FRA_DST || attribute.type == FRA_SRC;
            if (const auto address = address_in(attribute.payload, rule.family); is_address && address)
              rule_regions_.add(
                  Prefix::of(*address, attribute.type == FRA_DST ? rule.dst_len : rule.src_len));
            by_source_ |= attribute.type == FRA_IIFNAME || attribute.type == FRA_L3MDEV;
            by_more_ |= attribute.type == FRA_IP_PROTO || attribute.type == FRA_SPORT_RANGE ||
                        attribute.type == FRA_DPORT_RANGE || attribute.type == FRA_UID_RANGE ||
                        attribute.type == FRA_TUN_ID;
            return true;
          });
    });
  }
}

}  // namespace natsession
