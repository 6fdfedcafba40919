// A handler that keeps what it is handed.
#pragma once

#include <vector>

#include "session/event_source.h"

namespace natsession::testing {

class EventList final : public EventSource::Handler {
 public:
  void on_event(const ConntrackEvent& event) override { events.push_back(event); }
  std::vector<ConntrackEvent> events;
};

}  // namespace natsession::testing
