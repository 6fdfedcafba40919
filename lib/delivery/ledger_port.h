// LedgerPort: what delivery needs of a ledger: one writer, a reader and a cursor for each sink, and the
// keeper. The real one is open_ledger() (ledger_home.cc); tests have their own.
// Threads: the port itself one, the composing thread; each part as lib/ledger says of its class.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "ledger/compactor.h"
#include "ledger/cursor.h"
#include "ledger/ledger_reader.h"
#include "ledger/ledger_settings.h"
#include "ledger/ledger_writer.h"

namespace natsession {

// LedgerWriter's side.
class LedgerInput {
 public:
  virtual ~LedgerInput() = default;
  virtual std::size_t append(std::span<const SessionRecord> records) = 0;
  // In how long it is to be called again, at the latest.
  virtual std::optional<std::chrono::nanoseconds> tick() = 0;
  virtual Result<void> sync() = 0;
  virtual void on_written(std::function<void()> call) = 0;
  [[nodiscard]] virtual WriterStatus status() const = 0;
};

// LedgerReader's.
class LedgerOutput {
 public:
  virtual ~LedgerOutput() = default;
  [[nodiscard]] virtual Ordinal begin() = 0;
  [[nodiscard]] virtual Ordinal end() = 0;
  // `ended`: of the record before it; the epoch if that is not known.
  virtual void seek(Ordinal place, UnixMs ended) = 0;
  [[nodiscard]] virtual Ordinal place() const = 0;
  [[nodiscard]] virtual Result<LedgerReader::Outcome> read(RecordBlock& out) = 0;
};

// Cursor's.
class CursorPort {
 public:
  virtual ~CursorPort() = default;
  [[nodiscard]] virtual const std::optional<CursorState>& state() const = 0;
  virtual Result<void> store(const CursorState& state, bool flush) = 0;
};

// Compactor's.
class KeeperPort {
 public:
  virtual ~KeeperPort() = default;
  virtual void set_sinks(std::vector<std::string> names) = 0;
  virtual std::chrono::nanoseconds step() = 0;
  [[nodiscard]] virtual LedgerStatus status() const = 0;
};

class LedgerPort {
 public:
  virtual ~LedgerPort() = default;
  [[nodiscard]] virtual const std::string& directory() const = 0;
  [[nodiscard]] virtual LedgerInput& input() = 0;
  [[nodiscard]] virtual KeeperPort& keeper() = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<LedgerOutput>> open_output() = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<CursorPort>> open_cursor(std::string_view sink) = 0;
  [[nodiscard]] virtual std::optional<LedgerWriter::PreviousRun> previous_run() const = 0;
};

// Opens the writer, and with it takes the directory's lock. `clock` outlives the port.
// Errors: as LedgerWriter::open().
[[nodiscard]] Result<std::unique_ptr<LedgerPort>> open_ledger(const LedgerSettings& settings,
                                                              const Clock& clock);

}  // namespace natsession
