// LedgerLog: the log on disk. Its writer is the one consumer of the log in memory; what it does not
// take stays there, and so holds the collectors back: nothing is dropped here. Each sink reads from its
// cursor on. Beside, the background job: sealing, which compacts, and retention.
// Threads: composed by one; write() belongs to the ledger's writer thread, keep_up() to the background's,
// report() to any (a test may be all of them).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "delivery/log_consumer.h"
#include "delivery/log_reader.h"
#include "delivery/sink_state.h"
#include "ledger/compactor.h"
#include "ledger/ledger_settings.h"
#include "ledger/ledger_writer.h"

namespace natsession {

// A ledger for delivery to work through; none without a writer. It was opened with these settings.
struct LedgerSetup {
  LedgerSettings settings = {};
  std::unique_ptr<LedgerWriter> writer = {};
};

class LedgerLog {
 public:
  // What the collectors say is complete with what is in the queue; each has a place, with nothing if it is
  // not known.
  using Proved = std::function<std::vector<std::optional<Coverage>>()>;

  // `on_written` is called when there is more for the sinks to read, `on_complete` when there is all.
  // References outlive the object.
  LedgerLog(LedgerSetup setup, ConsumerState& state, LogReader& queue, RunState& run,
            const DeliveryContext& context, Proved proved, std::function<void()> on_written,
            std::function<void()> on_complete);
  ~LedgerLog();

  // Finds the sink's place: where its cursor stands; for a sink that is new the end, or, with `from_start`,
  // the oldest record. A cursor behind the end is one of records that the machine's fall took: it is set
  // back, or what comes next would be passed over. A sink whose cursor is damaged gets nothing, and says so:
  // a place that was guessed would lose records or repeat them.
  // Errors: those of the ledger's files; kIo if the place of a new sink cannot be stored.
  [[nodiscard]] Result<std::unique_ptr<LogConsumer>> open_consumer(SinkState& sink);
  [[nodiscard]] const LogReader& reader(std::size_t sink) const;  // in the order of open_consumer()
  // The sinks for which retention keeps what they have not read.
  void set_sinks(std::vector<std::string> names) { compaction_.set_sinks(std::move(names)); }

  // One step of each thread. The notifier's mark is to be taken before.
  Turn write();    // at most one append
  Turn keep_up();  // at most one segment

  // What is known to be complete is to be in the ledger soon, with the records that prove it. Any thread.
  void want_proof() {
    proof_wanted_.store(true, std::memory_order_release);
    state_.notifier.notify_urgently();
  }
  // See WriterStatus; from any thread.
  [[nodiscard]] Ordinal written() const { return writer_->status().written; }
  [[nodiscard]] std::optional<UnixMs> proved_until() const { return writer_->status().proved_until; }
  // See LedgerWriter; from any thread.
  void begin() { writer_->begin(); }
  void set_logged_until(UnixMs time) { writer_->set_logged_until(time); }
  [[nodiscard]] const std::string& directory() const { return settings_.directory; }
  [[nodiscard]] LedgerReport report() const;

 private:
  class Reader;
  using Time = std::chrono::nanoseconds;  // steady

  std::unique_ptr<LogConsumer> stand_in(SinkState& sink, const Error& cause);
  Turn complete();
  void probe();
  void prove();
  void watch_writing();

  const LedgerSettings settings_;
  ConsumerState& state_;
  LogReader& queue_;
  RunState& run_;
  const DeliveryContext context_;
  const std::function<void()> on_complete_;
  LogConsumer consumer_;
  const std::unique_ptr<LedgerWriter> writer_;
  Compactor compaction_;
  std::vector<std::unique_ptr<Reader>> readers_;
  const Proved proved_;
  std::atomic<bool> proof_wanted_{false};
  // Of the writer's thread: what was said when the queue ended at `end`.
  struct Probe {
    std::vector<std::optional<Coverage>> said;
    bool urgent = false;
    Ordinal end = 0;
  };
  std::optional<Probe> probe_;
  Time probed_at_{};
  std::optional<Time> trouble_since_;  // of the writer's thread
  Counter failures_;                   // how often writing began to fail
  std::string upkeep_failure_;         // the last one told
};

}  // namespace natsession
