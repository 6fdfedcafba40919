// A ledger in memory behind the LedgerPort, which outlives the delivery that uses it: a test may kill that
// and build another. A frame is written by tick() and sync(), at once.
// Threads: any.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "delivery/ledger_port.h"

namespace natsession::testing {

class FakeLedger {
 public:
  struct State {
    std::vector<SessionRecord> records;  // in frames; the ordinal is the index
    std::vector<std::size_t> frame_ends;
    std::vector<SessionRecord> pending;
    std::uint64_t appended = 0;
    Ordinal oldest = 0;                                  // deleted below
    std::optional<std::pair<Ordinal, Ordinal>> damaged;  // from, to (exclusive)
    std::map<std::string, CursorState> cursors;          // in their files
    std::map<std::string, CursorState> flushed_cursors;  // on the disk
    std::map<std::string, int> cursor_flushes;
    std::size_t memory = 1000;  // so many records are taken while the disk is full
    bool disk_full = false;
    bool reading_fails = false;
    bool cursors_fail = false;
    std::string failure;
    std::string keeper_failure;
    std::vector<std::string> keeper_sinks;
    int keeper_steps = 0;
  };

  explicit FakeLedger(std::string directory = "/nowhere") : directory_(std::move(directory)) {}

  template <typename Use>
  decltype(auto) with(Use&& use) {
    return state_.with(std::forward<Use>(use));
  }
  [[nodiscard]] std::vector<std::uint32_t> numbers() const {
    return state_.with([](const State& state) {
      std::vector<std::uint32_t> all;
      for (const SessionRecord& record : state.records) all.push_back(record.seq);
      return all;
    });
  }
  [[nodiscard]] std::optional<CursorState> cursor(const std::string& name) const {
    return state_.with([&](const State& state) -> std::optional<CursorState> {
      const auto found = state.cursors.find(name);
      return found == state.cursors.end() ? std::nullopt : std::optional(found->second);
    });
  }
  // The machine falls: what is not on the disk is gone. Of the frames the first `records` are.
  void fall(std::size_t records) {
    state_.with([&](State& state) {
      state.records.resize(records);
      std::erase_if(state.frame_ends, [&](std::size_t end) { return end > records; });
      state.pending.clear();
      state.cursors = state.flushed_cursors;
    });
  }
  // The process is killed: what was in its memory is gone.
  void kill() {
    state_.with([](State& state) { state.pending.clear(); });
  }
  [[nodiscard]] std::unique_ptr<LedgerPort> port();

 private:
  class Input;
  class Output;
  class FileCursor;
  class Keeper;
  class Port;

  const std::string directory_;
  Guarded<State> state_;
};

class FakeLedger::Input final : public LedgerInput {
 public:
  explicit Input(FakeLedger& ledger) : ledger_(ledger) {}
  std::size_t append(std::span<const SessionRecord> records) override {
    return ledger_.with([&](State& state) {
      std::size_t count = records.size();
      if (state.disk_full) {
        state.failure = "ledger: No space left on device";
        count = std::min(count, state.memory - std::min(state.memory, state.pending.size()));
      }
      state.pending.insert(state.pending.end(), records.begin(),
                           records.begin() + static_cast<std::ptrdiff_t>(count));
      state.appended += count;
      return count;
    });
  }
  std::optional<std::chrono::nanoseconds> tick() override {
    static_cast<void>(sync());
    return std::chrono::seconds(1);
  }
  Result<void> sync() override {
    const bool written = ledger_.with([&](State& state) {
      state.failure = state.disk_full ? "ledger: No space left on device" : "";
      if (state.disk_full || state.pending.empty()) return false;
      state.records.insert(state.records.end(), state.pending.begin(), state.pending.end());
      state.frame_ends.push_back(state.records.size());
      state.pending.clear();
      return true;
    });
    if (written && call_) call_();
    const std::string failure = ledger_.with([](State& state) { return state.failure; });
    if (!failure.empty()) return Error{ErrorKind::kIo, failure};
    return {};
  }
  void on_written(std::function<void()> call) override { call_ = std::move(call); }
  [[nodiscard]] WriterStatus status() const override {
    return ledger_.with([](State& state) {
      return WriterStatus{state.appended, state.records.size(), state.pending.size(), state.failure};
    });
  }

 private:
  FakeLedger& ledger_;
  std::function<void()> call_;
};

class FakeLedger::Output final : public LedgerOutput {
 public:
  explicit Output(FakeLedger& ledger) : ledger_(ledger) {}
  Ordinal begin() override {
    return ledger_.with([](State& state) { return state.oldest; });
  }
  Ordinal end() override {
    return ledger_.with([](State& state) { return Ordinal{state.records.size()}; });
  }
  void seek(Ordinal place, UnixMs ended) override {
    place_ = place;
    ended_ = ended;
  }
  Ordinal place() const override { return place_; }
  Result<LedgerReader::Outcome> read(RecordBlock& out) override {
    return ledger_.with([&](State& state) -> Result<LedgerReader::Outcome> {
      out.clear();
      if (state.reading_fails) return Error{ErrorKind::kIo, "ledger: read: Input/output error"};
      if (place_ < state.oldest) return skip(state.oldest, RecordReason::kLedgerFull);
      if (state.damaged && place_ >= state.damaged->first && place_ < state.damaged->second) {
        return skip(state.damaged->second, RecordReason::kDamaged);
      }
      Ordinal end = state.records.size();
      for (const std::size_t frame_end : state.frame_ends) {
        if (frame_end > place_) {
          end = frame_end;
          break;
        }
      }
      if (state.damaged && place_ < state.damaged->first) end = std::min(end, state.damaged->first);
      for (; place_ < end; ++place_) {
        // Texts of the block's own, so that a sanitizer sees who uses them too long.
        SessionRecord record = state.records[place_];
        out.origins.push_back(*record.origin);
        record.origin = &out.origins.back();
        out.texts.emplace_back(record.vpc_id);
        record.vpc_id = out.texts.back();
        out.records.push_back(record);
        out.ordinals.push_back(place_);
      }
      return LedgerReader::Outcome{};
    });
  }

 private:
  LedgerReader::Outcome skip(Ordinal to, RecordReason reason) {
    Skipped skipped{
        .first = place_, .last = to - 1, .reason = reason, .from = ended_, .until = {}, .why = "gone"};
    place_ = to;
    return {skipped};
  }

  FakeLedger& ledger_;
  Ordinal place_ = 0;
  UnixMs ended_;
};

class FakeLedger::FileCursor final : public CursorPort {
 public:
  FileCursor(FakeLedger& ledger, std::string_view name)
      : ledger_(ledger), name_(name), state_(ledger.cursor(name_)) {}
  const std::optional<CursorState>& state() const override { return state_; }
  Result<void> store(const CursorState& state, bool flush) override {
    return ledger_.with([&](State& all) -> Result<void> {
      if (all.cursors_fail) return Error{ErrorKind::kIo, "cursor: Input/output error"};
      all.cursors[name_] = state;
      state_ = state;
      if (flush) {
        all.flushed_cursors[name_] = state;
        ++all.cursor_flushes[name_];
      }
      return {};
    });
  }

 private:
  FakeLedger& ledger_;
  const std::string name_;
  std::optional<CursorState> state_;
};

class FakeLedger::Keeper final : public KeeperPort {
 public:
  explicit Keeper(FakeLedger& ledger) : ledger_(ledger) {}
  void set_sinks(std::vector<std::string> names) override {
    ledger_.with([&](State& state) { state.keeper_sinks = std::move(names); });
  }
  std::chrono::nanoseconds step() override {
    return ledger_.with([](State& state) {
      return ++state.keeper_steps % 3 == 0 ? std::chrono::milliseconds(1) : std::chrono::milliseconds(0);
    });
  }
  LedgerStatus status() const override {
    LedgerStatus status;
    status.failure = ledger_.with([](State& state) { return state.keeper_failure; });
    return status;
  }

 private:
  FakeLedger& ledger_;
};

class FakeLedger::Port final : public LedgerPort {
 public:
  explicit Port(FakeLedger& ledger) : ledger_(ledger), input_(ledger), keeper_(ledger) {}
  const std::string& directory() const override { return ledger_.directory_; }
  LedgerInput& input() override { return input_; }
  KeeperPort& keeper() override { return keeper_; }
  Result<std::unique_ptr<LedgerOutput>> open_output() override {
    return std::unique_ptr<LedgerOutput>(std::make_unique<Output>(ledger_));
  }
  Result<std::unique_ptr<CursorPort>> open_cursor(std::string_view sink) override {
    return std::unique_ptr<CursorPort>(std::make_unique<FileCursor>(ledger_, sink));
  }
  std::optional<LedgerWriter::PreviousRun> previous_run() const override { return std::nullopt; }

 private:
  FakeLedger& ledger_;
  Input input_;
  Keeper keeper_;
};

inline std::unique_ptr<LedgerPort> FakeLedger::port() {
  return std::make_unique<Port>(*this);
}

}  // namespace natsession::testing
