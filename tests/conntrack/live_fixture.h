// What the tests of ConntrackSource against the kernel share.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "conntrack/conntrack_source.h"
#include "support/conntrack_table.h"
#include "support/event_list.h"
#include "support/private_network.h"

namespace natsession::testing {

using Flow = ConntrackTable::Flow;

inline constexpr Flow kPlain{1000};
inline constexpr Flow kSnat{2000, true, false};
inline constexpr Flow kDnat{3000, false, true};
inline constexpr Flow kBothNats{4000, true, true};

inline std::unique_ptr<ConntrackSource> open_source(const ConntrackOptions& options,
                                                    const EventGroups& groups = {}) {
  auto source = ConntrackSource::open(options);
  if (!source) FAIL(source.error().message);
  const auto subscribed = (*source)->set_groups({.groups = groups});
  if (!subscribed) FAIL(subscribed.error().message);
  return *std::move(source);
}

inline EventSource::Received receive(ConntrackSource& source, EventList& list) {
  const auto received = source.receive(list);
  if (!received) FAIL(received.error().message);
  return *received;
}

inline std::vector<ConntrackEvent> dump(ConntrackSource& source) {
  EventList list;
  const auto started = source.start_dump();
  if (!started) FAIL(started.error().message);
  auto state = EventSource::DumpState::kMore;
  for (int part = 0; state == EventSource::DumpState::kMore; ++part) {
    REQUIRE(part < 10'000);
    const auto next = source.continue_dump(list);
    if (!next) FAIL(next.error().message);
    state = *next;
  }
  CHECK(state == EventSource::DumpState::kDone);
  return list.events;
}

inline std::multiset<std::uint16_t> ports(const std::vector<ConntrackEvent>& events) {
  std::multiset<std::uint16_t> all;
  for (const ConntrackEvent& event : events) all.insert(event.original.src_port);
  return all;
}

inline void create_one_of_each(ConntrackTable& table) {
  for (const Flow& flow : {kPlain, kSnat, kDnat, kBothNats}) table.create(flow);
}

}  // namespace natsession::testing
