// An EventSource that plays a script: queued events, and a table that dumps show.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "session/event_source.h"

namespace natsession::testing {

class ScriptedSource final : public EventSource {
 public:
  ScriptedSource() = default;
  explicit ScriptedSource(const EventGroups& groups) : subscribed(groups) {}

  // What the event socket holds.
  std::deque<ConntrackEvent> queue;
  // What the next dump shows, a few entries a part. An entry of protocol 0 is none.
  std::vector<ConntrackEvent> table;
  // A dump shows each entry as it is when its turn comes, as the kernel does, not as it was at the beginning.
  bool live_dumps = false;
  std::size_t batch = 4;
  std::size_t part = 2;
  // What becomes of dumps that are started from now on.
  DumpState outcome = DumpState::kDone;
  std::optional<Error> dump_error;
  std::optional<Error> receive_error;
  // Called before events are received: the moment at which the thread may be stopped.
  std::function<void()> on_receive;
  // Called when a dump begins and before each part: the moment to change the queue under it.
  std::function<void()> on_dump_start;
  std::function<void(std::size_t shown)> on_dump_part;
  // Called before the mode changes.
  std::function<void(bool on)> on_set_reliable;
  TableUsage usage{0, 1'000'000};
  bool sends = true;
  bool stamps = true;
  bool counts = true;
  EventGroups subscribed;
  std::optional<Error> subscribe_error;
  SourceCounters source_counters;
  bool reliable = true;
  std::size_t unreadable_next = 0;
  Pulse shared_pulse;

  std::size_t dumps = 0;

  // So many messages did not fit. What that means depends on the mode.
  void drop(std::uint64_t messages) { dropped_ += messages; }

  Result<Received> receive(Handler& handler) override {
    if (on_receive) on_receive();
    if (receive_error) return *receive_error;
    Received received;
    received.unreadable = std::exchange(unreadable_next, 0);
    while (received.messages < batch && !queue.empty()) {
      const ConntrackEvent event = queue.front();
      queue.pop_front();
      ++received.messages;
      handler.on_event(event);
    }
    received.drained = received.messages < batch;
    return received;
  }

  Result<void> start_dump() override {
    ++dumps;
    if (on_dump_start) on_dump_start();
    if (dump_error) return *dump_error;
    showing_ = table;
    shown_ = 0;
    return {};
  }

  Result<DumpState> continue_dump(Handler& handler) override {
    if (on_dump_part) on_dump_part(shown_);
    for (std::size_t i = 0; i < part && shown_ < showing_.size(); ++i, ++shown_) {
      const ConntrackEvent& entry = live_dumps ? table[shown_] : showing_[shown_];
      if (entry.protocol != 0) handler.on_event(entry);
    }
    return shown_ < showing_.size() ? DumpState::kMore : outcome;
  }

  std::uint64_t dropped() override { return dropped_; }
  Pulse* pulse() override { return &shared_pulse; }
  Result<void> set_reliable(bool on) override {
    if (on_set_reliable) on_set_reliable(on);
    reliable = on;
    return {};
  }
  [[nodiscard]] SourceCounters counters() const override { return source_counters; }
  [[nodiscard]] Result<TableUsage> table_usage() override { return usage; }
  [[nodiscard]] ConntrackSysctls sysctls() override { return {sends, counts, stamps}; }
  Result<void> set_groups(const EventChoice& choice) override {
    if (subscribe_error) return *subscribe_error;
    subscribed = choice.groups;
    return {};
  }
  [[nodiscard]] EventGroups groups() const override { return subscribed; }

 private:
  std::vector<ConntrackEvent> showing_;
  std::size_t shown_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace natsession::testing
