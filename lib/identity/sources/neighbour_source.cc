#include "identity/sources/neighbour_source.h"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstring>

#include "identity/sources/neighbour_message.h"
#include "identity/sources/words.h"

namespace natsession {

NeighbourSource::NeighbourSource(std::string name, bool with_link_local)
    : name_(std::move(name)), with_link_local_(with_link_local) {}

Result<void> NeighbourSource::open() {
  auto events = RouteSocket::open();
  if (!events) return events.error();
  if (auto joined = events->join(RTNLGRP_NEIGH); !joined) return joined;
  auto questions = RouteSocket::open();
  if (!questions) return questions.error();
  events_ = std::move(*events);
  questions_ = std::move(*questions);
  return {};
}

void NeighbourSource::tell(const RouteSocket::Message& message, UnixMs now, IdentityOutput& output) {
  const auto neighbour = read_neighbour(message.type, message.payload, with_link_local_);
  if (!neighbour) return;
  const Prefix prefix = Prefix::of(neighbour->address, 128);
  const std::string interface = std::to_string(neighbour->interface);
  if (!neighbour->is_known) {
    if (neighbour->has_ended) tell_ended(output, prefix, interface, now);
    return;
  }
  SeenAssignment seen;
  seen.prefix = prefix;
  seen.kind = AssignmentKind::kNeighbour;
  seen.subscriber = neighbour->mac;
  seen.mac = neighbour->mac;
  seen.id = interface;
  tell_seen(output, seen, now);
}

bool NeighbourSource::ask(IdentityOutput& output) {
  alignas(nlmsghdr) std::array<std::byte, 64> bytes{};
  nlmsghdr* const request = mnl_nlmsg_put_header(bytes.data());
  request->nlmsg_type = RTM_GETNEIGH;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  (void)mnl_nlmsg_put_extra_header(request, sizeof(ndmsg));
  answer_ = {};
  const int failed = questions_->begin({bytes.data(), request->nlmsg_len});
  if (failed != 0) output.lost(std::string("neighbours cannot be listed: ") + std::strerror(failed));
  return failed == 0;
}

std::chrono::milliseconds NeighbourSource::turn(UnixMs now, IdentityOutput& output) {
  constexpr std::chrono::milliseconds kIdle{1000};
  constexpr int kMostParts = 16;  // of some hundred neighbours each
  if (!events_) return kIdle;
  if (listing_ == Listing::kWanted) {
    if (!ask(output)) return kIdle;
    listing_ = Listing::kUnderWay;
    output.begin_whole();
  }
  if (listing_ == Listing::kUnderWay) {
    // Events wait until all is listed: they are newer.
    for (int i = 0;; ++i) {
      if (i == kMostParts) return std::chrono::milliseconds(0);
      const auto part = questions_->next_part(
          answer_, [&](const RouteSocket::Message& message) { tell(message, now, output); });
      if (part == RouteSocket::Part::kDone) break;
    }
    if (answer_.error_number != 0 || answer_.interrupted) {
      listing_ = Listing::kWanted;
      if (answer_.error_number == 0) return std::chrono::milliseconds(0);
      output.lost(std::string("neighbours cannot be listed: ") + std::strerror(answer_.error_number));
      return kIdle;
    }
    listing_ = Listing::kDone;
    output.end_whole(now);
  }
  const bool whole =
      events_->take_events([&](const RouteSocket::Message& message) { tell(message, now, output); });
  if (!whole) {
    output.lost("neighbours changed faster than they were read: they are listed anew");
    listing_ = Listing::kWanted;
    return std::chrono::milliseconds(0);
  }
  output.followed(now);
  return kIdle;
}

}  // namespace natsession
