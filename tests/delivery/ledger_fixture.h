// Delivery through a ledger without threads: the test is the collector, the ledger's writer and each worker
// in turn. It may kill the whole and build it again over the same ledger.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "delivery/delivery_core.h"
#include "delivery/delivery_fixture.h"
#include "delivery/fake_ledger.h"
#include "support/temp_dir.h"

namespace natsession::testing {

class LedgerFixture {
 public:
  using Kind = Turn::Kind;
  using Wishes = DeliveryFixture::Wishes;

  enum class Kept { kFake, kOnDisk };

  explicit LedgerFixture(std::vector<FlakySink::Script> scripts, Wishes wishes = {},
                         DeliverySettings settings = {}, Kept kept = Kept::kFake)
      : settings_(settings), wishes_(std::move(wishes)), kept_(kept) {
    for (std::size_t i = 0; i < scripts.size(); ++i) captures.push_back(std::make_shared<Capture>());
    build(std::move(scripts));
  }

  // Without any stop: as after kill -9.
  void kill() {
    core.reset();
    ledger.kill();
  }
  void build(std::vector<FlakySink::Script> scripts) {
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
    core = std::make_unique<DeliveryCore>(
        std::move(specs), settings_, clock,
        DeliveryCallbacks{[this](const Report& report) {
                            reports.push_back(report);
                            reports.back().sink = {};
                          },
                          [this](std::string_view sink, const std::string& why) {
                            closings.push_back(std::string(sink) + ": " + why);
                          }},
        LedgerSetup{open_port(), "here"});
    producer = &core->add_producer();
    REQUIRE(core->open());
  }
  void restart(std::vector<FlakySink::Script> scripts = {}) {
    kill();
    build(std::move(scripts));
  }

  void emit(std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t number = from; number < to; ++number) producer->emit(numbered_record(number));
  }
  // All that was emitted is in the ledger, in one frame more.
  void write() {
    producer->flush();
    run_feeder();
  }
  void write(std::uint32_t from, std::uint32_t to) {
    emit(from, to);
    write();
  }
  Turn run_feeder() {
    Turn turn = core->feeder()->step();
    while (turn.kind == Kind::kStep) turn = core->feeder()->step();
    return turn;
  }
  Turn run(std::size_t sink) {
    Turn turn = core->worker(sink).step();
    while (turn.kind == Kind::kStep) turn = core->worker(sink).step();
    return turn;
  }
  SinkStatus status(std::size_t sink) const { return core->status()[sink]; }
  Ordinal cursor(std::size_t sink) {
    if (kept_ == Kept::kFake) return ledger.cursor(core->sink(sink).name).value().next;
    return Cursor::open(directory_.path().string(), core->sink(sink).name)->state().value().next;
  }
  // All that is in the ledger.
  std::vector<std::uint32_t> numbers_in_ledger() {
    if (kept_ == Kept::kFake) return ledger.numbers();
    const auto reader = LedgerReader::open(directory_.path().string());
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
  std::vector<std::uint32_t> delivered(std::size_t sink) const { return captures[sink]->numbers(); }
  std::vector<Report::Kind> report_kinds() const {
    std::vector<Report::Kind> kinds;
    for (const Report& report : reports) kinds.push_back(report.kind);
    return kinds;
  }

 private:
  std::unique_ptr<LedgerPort> open_port() {
    if (kept_ == Kept::kFake) return ledger.port();
    auto port = open_ledger({.directory = directory_.path().string()}, clock);
    REQUIRE(port);
    return std::move(*port);
  }

  DeliverySettings settings_;
  Wishes wishes_;
  Kept kept_;
  TempDir directory_;

 public:
  ManualClock clock{UnixNs(std::chrono::seconds(1'795'263'662))};
  FakeLedger ledger{directory_.path().string()};
  std::vector<std::shared_ptr<Capture>> captures;
  std::vector<FlakySink*> flaky;
  std::vector<Report> reports;
  std::vector<std::string> closings;
  std::unique_ptr<DeliveryCore> core;
  Producer* producer = nullptr;
};

}  // namespace natsession::testing
