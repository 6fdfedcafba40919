// The real ledger behind the LedgerPort.
#include <algorithm>

#include "delivery/ledger_port.h"

namespace natsession {
namespace {

class RealInput final : public LedgerInput {
 public:
  RealInput(std::unique_ptr<LedgerWriter> writer, const Clock& clock)
      : writer_(std::move(writer)), clock_(clock) {}
  std::size_t append(std::span<const SessionRecord> records) override { return writer_->append(records); }
  // The writer says at what time, the port in how long.
  std::optional<std::chrono::nanoseconds> tick() override {
    const auto due = writer_->tick();
    if (!due) return std::nullopt;
    return std::max(*due - clock_.steady(), std::chrono::nanoseconds::zero());
  }
  Result<void> sync() override { return writer_->sync(); }
  void on_written(std::function<void()> call) override { writer_->on_written(std::move(call)); }
  [[nodiscard]] WriterStatus status() const override { return writer_->status(); }
  [[nodiscard]] std::optional<LedgerWriter::PreviousRun> previous_run() const {
    return writer_->previous_run();
  }

 private:
  const std::unique_ptr<LedgerWriter> writer_;
  const Clock& clock_;
};

class RealOutput final : public LedgerOutput {
 public:
  explicit RealOutput(std::unique_ptr<LedgerReader> reader) : reader_(std::move(reader)) {}
  [[nodiscard]] Ordinal begin() override { return reader_->begin(); }
  [[nodiscard]] Ordinal end() override { return reader_->end(); }
  void seek(Ordinal place, UnixMs ended) override { reader_->seek(place, ended); }
  [[nodiscard]] Ordinal place() const override { return reader_->place(); }
  [[nodiscard]] Result<LedgerReader::Outcome> read(RecordBlock& out) override { return reader_->read(out); }

 private:
  const std::unique_ptr<LedgerReader> reader_;
};

class RealCursor final : public CursorPort {
 public:
  explicit RealCursor(Cursor cursor) : cursor_(std::move(cursor)) {}
  [[nodiscard]] const std::optional<CursorState>& state() const override { return cursor_.state(); }
  Result<void> store(const CursorState& state, bool flush) override { return cursor_.store(state, flush); }

 private:
  Cursor cursor_;
};

class RealKeeper final : public KeeperPort {
 public:
  RealKeeper(const LedgerSettings& settings, const Clock& clock) : keeper_(settings, clock) {}
  void set_sinks(std::vector<std::string> names) override { keeper_.set_sinks(std::move(names)); }
  std::chrono::nanoseconds step() override { return keeper_.step(); }
  [[nodiscard]] LedgerStatus status() const override { return keeper_.status(); }

 private:
  Compactor keeper_;
};

class RealPort final : public LedgerPort {
 public:
  RealPort(const LedgerSettings& settings, const Clock& clock, std::unique_ptr<LedgerWriter> writer)
      : directory_(settings.directory), input_(std::move(writer), clock), keeper_(settings, clock) {}
  [[nodiscard]] const std::string& directory() const override { return directory_; }
  [[nodiscard]] LedgerInput& input() override { return input_; }
  [[nodiscard]] KeeperPort& keeper() override { return keeper_; }
  [[nodiscard]] Result<std::unique_ptr<LedgerOutput>> open_output() override {
    auto reader = LedgerReader::open(directory_);
    if (!reader) return reader.error();
    return std::unique_ptr<LedgerOutput>(std::make_unique<RealOutput>(std::move(*reader)));
  }
  [[nodiscard]] Result<std::unique_ptr<CursorPort>> open_cursor(std::string_view sink) override {
    auto cursor = Cursor::open(directory_, sink);
    if (!cursor) return cursor.error();
    return std::unique_ptr<CursorPort>(std::make_unique<RealCursor>(std::move(*cursor)));
  }
  [[nodiscard]] std::optional<LedgerWriter::PreviousRun> previous_run() const override {
    return input_.previous_run();
  }

 private:
  const std::string directory_;
  RealInput input_;
  RealKeeper keeper_;
};

}  // namespace

Result<std::unique_ptr<LedgerPort>> open_ledger(const LedgerSettings& settings, const Clock& clock) {
  auto writer = LedgerWriter::open(settings, clock);
  if (!writer) return writer.error();
  return std::unique_ptr<LedgerPort>(std::make_unique<RealPort>(settings, clock, std::move(*writer)));
}

}  // namespace natsession
