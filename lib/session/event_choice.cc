#include "session/event_choice.h"

namespace natsession {

// UPDATE is needed for nothing else: what it tells stands in the next dump and in the DESTROY as well, and it
// begins no session. Without accounting DESTROY has no counters, and NEW and UPDATE never have any.
EventChoice choose_events(const EventNeeds& needs, bool stamps) {
  constexpr EventGroups kAll;
  constexpr EventGroups kNoUpdates{.update = false};
  if (needs.configured) return {*needs.configured, EventsWhy::kConfigured};
  if (!needs.ends_tell_state) return {kAll, EventsWhy::kOldKernel};
  if (needs.records == RecordMode::kStartEnd) return {kNoUpdates, EventsWhy::kStartsWanted};
  if (needs.reliable == ReliableMode::kOff) return {kNoUpdates, EventsWhy::kNotReliable};
  if (!stamps) return {kNoUpdates, EventsWhy::kNoStamps};
  return {{.new_ = false, .update = false}, EventsWhy::kEndsTellAll};
}

std::string to_string(const EventGroups& groups) {
  std::string text;
  for (const NamedGroup& group : kEventGroups) {
    if (groups.*group.member) text.append(text.empty() ? "" : ",").append(group.name);
  }
  return text.empty() ? "none" : text;
}

std::string_view to_string(EventsWhy why) {
  switch (why) {
    case EventsWhy::kConfigured:
      break;
    case EventsWhy::kEndsTellAll:
      return "ends_tell_all";
    case EventsWhy::kStartsWanted:
      return "starts_wanted";
    case EventsWhy::kNotReliable:
      return "not_reliable";
    case EventsWhy::kNoStamps:
      return "no_stamps";
    case EventsWhy::kOldKernel:
      return "old_kernel";
    case EventsWhy::kTakenOver:
      return "taken_over";
  }
  return "configured";
}

std::string_view in_words(EventsWhy why) {
  switch (why) {
    case EventsWhy::kConfigured:
      break;
    case EventsWhy::kEndsTellAll:
      return "the end of a session tells all that the log is to hold, also when it began";
    case EventsWhy::kStartsWanted:
      return "--records start-end makes a record when a session begins";
    case EventsWhy::kNotReliable:
      return "with --reliable off the end of a session may be lost";
    case EventsWhy::kNoStamps:
      return "nf_conntrack_timestamp is not 1, or cannot be read, so the end of a session does not tell "
             "when it began";
    case EventsWhy::kOldKernel:
      return "before Linux 5.11 the end of a session does not tell its tcp_state";
    case EventsWhy::kTakenOver:
      return "the run before subscribed to them";
  }
  return "--events names them";
}

}  // namespace natsession
