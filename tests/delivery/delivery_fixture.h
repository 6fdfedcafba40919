// Delivery without threads: the test is the collector and each worker in turn, on a clock of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "delivery/delivery_core.h"
#include "support/capture_sink.h"
#include "support/flaky_sink.h"
#include "support/manual_clock.h"
#include "support/numbered_record.h"

namespace natsession::testing {

inline std::vector<std::uint32_t> numbers(std::uint32_t from, std::uint32_t to) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t number = from; number < to; ++number) all.push_back(number);
  return all;
}

// Sinks by their scripts: sinks({{}, {}}) are two that take everything.
inline std::vector<FlakySink::Script> sinks(std::initializer_list<FlakySink::Script> scripts) {
  return scripts;
}

class DeliveryFixture {
 public:
  using Kind = Turn::Kind;
  // Says how a sink is to be served, by its number.
  using Wishes = std::function<void(std::size_t, SinkSpec&)>;

  // Names them a, b, c …
  explicit DeliveryFixture(std::vector<FlakySink::Script> scripts, DeliverySettings settings = {},
                           const Wishes& wishes = {}) {
    std::vector<SinkSpec> owned;
    for (auto& script : scripts) {
      captures.push_back(std::make_shared<Capture>());
      const std::string name(1, static_cast<char>('a' + owned.size()));
      auto sink = std::make_unique<FlakySink>(name, captures.back(), std::move(script));
      flaky.push_back(sink.get());
      owned.push_back({.sink = std::move(sink)});
      if (wishes) wishes(owned.size() - 1, owned.back());
    }
    core = std::make_unique<DeliveryCore>(
        std::move(owned), settings, clock,
        DeliveryCallbacks{[this](const Report& report) {
                            reports.push_back(report);
                            reports.back().sink = {};  // a view that may not outlive the call
                            report_sinks.emplace_back(report.sink);
                          },
                          [this](std::string_view sink, const std::string& why) {
                            closings.push_back(std::string(sink) + ": " + why);
                          }});
    producer = &core->add_producer();
    REQUIRE(core->open());
  }

  void emit(std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t number = from; number < to; ++number) producer->emit(numbered_record(number));
  }
  // The worker's steps until it would sleep.
  Turn run(std::size_t sink) {
    Turn next = core->worker(sink).step();
    while (next.kind == Kind::kStep) next = core->worker(sink).step();
    return next;
  }
  SinkShare& state(std::size_t sink) { return core->sink(sink); }
  SinkStatus status(std::size_t sink) const { return core->status()[sink]; }
  std::vector<Report::Kind> report_kinds() const {
    std::vector<Report::Kind> kinds;
    for (const Report& report : reports) kinds.push_back(report.kind);
    return kinds;
  }

  ManualClock clock{UnixNs(std::chrono::seconds(1'795'263'662))};
  std::vector<std::shared_ptr<Capture>> captures;
  std::vector<FlakySink*> flaky;
  std::vector<Report> reports;
  std::vector<std::string> report_sinks;
  std::vector<std::string> closings;
  std::unique_ptr<DeliveryCore> core;
  Producer* producer = nullptr;
};

}  // namespace natsession::testing
