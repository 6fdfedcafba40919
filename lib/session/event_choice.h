// EventChoice: which groups of conntrack events a log needs, for --events auto. Each group that is subscribed
// to costs the forwarding path, and the table of sessions its memory.
// Threads: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "session/settings.h"

namespace natsession {

// The groups by the names that --events has.
struct NamedGroup {
  std::string_view name;
  bool EventGroups::*member;
};
inline constexpr std::array kEventGroups{NamedGroup{"new", &EventGroups::new_},
                                         NamedGroup{"update", &EventGroups::update},
                                         NamedGroup{"destroy", &EventGroups::destroy}};

// Why these groups. The names are those of `status`.
enum class EventsWhy : std::uint8_t {
  kConfigured,    // --events names them
  kEndsTellAll,   // DESTROY alone: it has when the session began and ended, its counters and its state
  kStartsWanted,  // a `start` record is made from NEW
  kNotReliable,   // a DESTROY may be lost: a session whose NEW was seen has an end all the same, `vanished`
  kNoStamps,      // the kernel does not stamp, or does not say so: only NEW tells when a session begins
  kOldKernel,  // its DESTROY has no tcp_state, which only UPDATE tells then, of sessions known by their NEW
  kTakenOver,  // those of the run before, until it is looked which are needed
};
inline constexpr std::array kAllEventsWhy{
    EventsWhy::kConfigured, EventsWhy::kEndsTellAll, EventsWhy::kStartsWanted, EventsWhy::kNotReliable,
    EventsWhy::kNoStamps,   EventsWhy::kOldKernel,   EventsWhy::kTakenOver};

struct EventChoice {
  EventGroups groups;
  EventsWhy why = EventsWhy::kConfigured;
  friend bool operator==(const EventChoice&, const EventChoice&) = default;
};

// What the log is to hold, and what this kernel is able to.
struct EventNeeds {
  std::optional<EventGroups> configured = EventGroups();  // none: --events auto
  RecordMode records = RecordMode::kWindow;
  ReliableMode reliable = ReliableMode::kAuto;
  bool ends_tell_state = true;  // a DESTROY of TCP has its state
};

// `stamps`: sessions that begin now are stamped by the kernel (nf_conntrack_timestamp is 1).
[[nodiscard]] EventChoice choose_events(const EventNeeds& needs, bool stamps);

// "new,update,destroy", as --events takes it; "none" without any.
[[nodiscard]] std::string to_string(const EventGroups& groups);

// A word, and the same in words for people.
[[nodiscard]] std::string_view to_string(EventsWhy why);
[[nodiscard]] std::string_view in_words(EventsWhy why);

// As a number: new 1, update 2, destroy 4.
[[nodiscard]] constexpr std::uint8_t bits_of(const EventGroups& groups) {
  return static_cast<std::uint8_t>((groups.new_ ? 1U : 0) | (groups.update ? 2U : 0) |
                                   (groups.destroy ? 4U : 0));
}
[[nodiscard]] constexpr EventGroups groups_of(std::uint64_t bits) {
  return {(bits & 1U) != 0, (bits & 2U) != 0, (bits & 4U) != 0};
}

}  // namespace natsession
