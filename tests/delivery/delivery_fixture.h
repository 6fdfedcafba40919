// Delivery without threads: the test is the collector, the ledger's writer and each worker in turn, on a
// clock of its own. The log is in memory (MemoryRig), or in a real ledger on the disk (LedgerRig), which a
// test may kill and build again: what holds for one log must hold for the other.
#pragma once

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "delivery/delivery.h"
#include "support/capture_sink.h"
#include "support/disk_faults.h"
#include "support/files.h"
#include "support/flaky_sink.h"
#include "support/manual_clock.h"
#include "support/numbered_record.h"
#include "support/temp_dir.h"

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
  enum class LogKind { kMemory, kLedger };

  // Names them a, b, c …
  DeliveryFixture(LogKind kind, std::vector<FlakySink::Script> scripts, Wishes wishes,
                  DeliverySettings settings)
      : kind_(kind), settings_(settings), wishes_(std::move(wishes)) {
    // A frame for all that is appended at once, so that it can be read at once.
    ledger_settings.sync = SyncMode::kNever;
    ledger_settings.sync_interval = std::chrono::milliseconds(0);
    for (std::size_t i = 0; i < scripts.size(); ++i) captures.push_back(std::make_shared<Capture>());
    build(std::move(scripts));
  }

  // As kill -9: what is in memory is lost.
  void kill() {
    const FailingDisk disk({.write = EIO, .sync = EIO});
    core.reset();
  }
  void build(std::vector<FlakySink::Script> scripts = {}) {
    scripts.resize(captures.size());
    std::vector<SinkSpec> specs;
    flaky.clear();
    for (std::size_t i = 0; i < scripts.size(); ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      auto sink = std::make_unique<FlakySink>(name, captures[i], std::move(scripts[i]));
      flaky.push_back(sink.get());
      specs.push_back({.sink = std::move(sink)});
      if (wishes_) wishes_(i, specs.back());
    }
    LedgerSetup ledger;
    if (kind_ == LogKind::kLedger) {
      ledger.settings = ledger_settings;
      auto writer = LedgerWriter::open(ledger_settings, clock);
      REQUIRE(writer);
      ledger.writer = std::move(*writer);
    }
    core = std::make_unique<Delivery>(
        std::move(specs), settings_, clock,
        DeliveryCallbacks{[this](const Report& report) {
                            reports.push_back(report);
                            reports.back().sink = {};  // a view that may not outlive the call
                            report_sinks.emplace_back(report.sink);
                          },
                          [this](std::string_view sink, const std::string& why) {
                            closings.push_back(std::string(sink) + ": " + why);
                          }},
        "here", std::move(ledger));
    producer = &core->add_producer();
    REQUIRE(core->open());
    core->begin();
    jobs = core->jobs();
  }
  void restart(std::vector<FlakySink::Script> scripts = {}) {
    kill();
    build(std::move(scripts));
  }

  void emit(std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t number = from; number < to; ++number) producer->emit(numbered_record(number));
  }
  // What was emitted is readable for the workers from now on.
  void write() {
    producer->flush();
    if (kind_ == LogKind::kLedger) run_writer();
  }
  void write(std::uint32_t from, std::uint32_t to) {
    emit(from, to);
    write();
  }
  // As a collector does: emits while there is room. Returns the number after the last.
  std::uint32_t fill(std::uint32_t from = 0) {
    for (; producer->has_room(); from += RecordOutput::kRoom) write(from, from + RecordOutput::kRoom);
    return from;
  }

  Turn step(std::size_t job) { return jobs[job].step(); }
  // A worker's steps until it would sleep.
  Turn run(std::size_t job) {
    Turn turn = step(job);
    while (turn.kind == Kind::kStep) turn = step(job);
    return turn;
  }
  // Records are written, or time passes, and then the first sink's worker runs.
  Turn feed(std::uint32_t from, std::uint32_t to) {
    write(from, to);
    return run(0);
  }
  Turn run_after(std::chrono::nanoseconds time) {
    clock.advance(time);
    return run(0);
  }
  Turn run_writer() { return run(captures.size()); }
  // The collectors have ended.
  void stop() {
    core->end_input();
    if (kind_ == LogKind::kLedger) run_writer();
  }

  SinkReport status(std::size_t sink) const { return core->sink_reports()[sink]; }
  std::vector<std::uint32_t> delivered(std::size_t sink) const { return captures[sink]->numbers(); }
  std::vector<SessionRecord> seen(std::size_t sink) const { return captures[sink]->seen().records; }
  std::vector<Report::Kind> report_kinds() const {
    std::vector<Report::Kind> kinds;
    for (const Report& report : reports) kinds.push_back(report.kind);
    return kinds;
  }

  Ordinal cursor(std::size_t sink) const { return open_cursor(sink).state().value().next; }
  Cursor open_cursor(std::size_t sink) const {
    auto cursor = Cursor::open(directory(), std::string(1, static_cast<char>('a' + sink)));
    REQUIRE(cursor);
    return std::move(*cursor);
  }
  const std::string& directory() const { return ledger_settings.directory; }
  // All that is in the ledger.
  std::vector<std::uint32_t> numbers_in_ledger() const {
    const auto reader = LedgerReader::open(directory());
    REQUIRE(reader);
    (*reader)->seek(0);
    std::vector<std::uint32_t> numbers;
    for (RecordBlock block;;) {
      const auto outcome = (*reader)->read(block);
      REQUIRE(outcome);
      REQUIRE_FALSE(outcome->skipped);
      if (block.records.empty()) return numbers;
      for (const SessionRecord& record : block.records) numbers.push_back(record.seq);
    }
  }

 private:
  const LogKind kind_;
  const DeliverySettings settings_;
  const Wishes wishes_;
  const TempDir directory_;

 public:
  LedgerSettings ledger_settings{.directory = directory_.file("ledger")};
  ManualClock clock{UnixNs(std::chrono::seconds(1'795'263'662))};
  std::vector<std::shared_ptr<Capture>> captures;
  std::vector<FlakySink*> flaky;
  std::vector<Report> reports;
  std::vector<std::string> report_sinks;
  std::vector<std::string> closings;
  std::unique_ptr<Delivery> core;
  std::vector<Job> jobs;  // of the sinks, then, with a ledger, its writer's and the background's
  Producer* producer = nullptr;
};

struct MemoryRig : DeliveryFixture {
  static constexpr bool kKeeps = false;
  explicit MemoryRig(std::vector<FlakySink::Script> scripts, Wishes wishes = {},
                     DeliverySettings settings = {})
      : DeliveryFixture(LogKind::kMemory, std::move(scripts), std::move(wishes), settings) {}
};

struct LedgerRig : DeliveryFixture {
  static constexpr bool kKeeps = true;
  explicit LedgerRig(std::vector<FlakySink::Script> scripts, Wishes wishes = {},
                     DeliverySettings settings = {})
      : DeliveryFixture(LogKind::kLedger, std::move(scripts), std::move(wishes), settings) {}
};

// What holds for one home of the log must hold for the other.
#define TEST_CASE_OF_BOTH_LOGS(sentence, tags) TEMPLATE_TEST_CASE(sentence, tags, MemoryRig, LedgerRig)

inline DeliveryFixture::Wishes batches_of(BatchLimits limits) {
  return [limits](std::size_t, SinkSpec& spec) { spec.batch = limits; };
}

}  // namespace natsession::testing
