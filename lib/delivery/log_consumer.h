// LogConsumer: how one consumer takes records from the log, in memory or on disk: what it has in hand, where
// it stands, and the gap records for what it cannot get. Where the log outlives the program, so does its
// place: the cursor is in its file after each batch, and on the disk once a second; so after a kill at most
// one batch comes twice, after a fall of the machine what was delivered in the last second.
// Threads: one, the consumer's; ConsumerState says what others see.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "delivery/job.h"
#include "delivery/log_reader.h"
#include "delivery/proved_records.h"
#include "delivery/report.h"
#include "delivery/settings.h"
#include "ledger/cursor.h"

namespace natsession {

// One thread writes it, any read it.
class Counter {
 public:
  void add(std::uint64_t count) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// What a consumer shares with other threads. It writes what is no constant.
struct ConsumerState {
  explicit ConsumerState(std::string called) : name(std::move(called)) {}

  // Records that it has not delivered, and those that it missed, of a log as its reader sees it.
  [[nodiscard]] std::uint64_t waiting(const LogStatus& log) const {
    const std::uint64_t behind = position.load(std::memory_order_acquire) + log.overwritten;
    return log.end - std::min(log.end, behind);
  }
  [[nodiscard]] std::uint64_t dropped(const LogStatus& log) const { return missed.value() + log.overwritten; }

  const std::string name;
  Notifier notifier;  // any thread notifies
  std::atomic<Ordinal> position{
      0};          // of the record to deliver next; of a gap record: the last that it is for
  Counter missed;  // of which it got a gap record
};

// What all consumers of a program have in common. All references outlive them.
struct DeliveryContext {
  const DeliverySettings& settings;
  const Clock& clock;
  const Origin& origin;  // of gap records that are made here
  const RunState& run;
  Reporter& reporter;
};

// About what the record takes as a JSON line. For limits only: encoders that write less send smaller batches.
[[nodiscard]] std::size_t estimated_bytes(const SessionRecord& record);

// How much of what is offered makes one batch.
struct Batch {
  std::size_t count = 0;  // so many, from the front
  bool full = false;      // more would not fit, or may not come: no use to wait
};
[[nodiscard]] Batch cut_batch(std::span<const SessionRecord> records, const BatchLimits& limits);

class LogConsumer {
 public:
  using Time = std::chrono::nanoseconds;  // steady

  // What comes next. The first of them stays the first until it is acknowledged; the span is good until the
  // next call of anything here.
  struct Offer {
    std::span<const SessionRecord> records;  // more than a batch, perhaps
    Time since{};                            // when the first of them was there to be read, about
    std::string trouble;                     // why nothing can be read now; `records` is then empty
  };

  // `reader` stands at `place`. Without a cursor nothing outlives the program.
  LogConsumer(ConsumerState& state, LogReader& reader, const DeliveryContext& context, Takes takes,
              std::optional<Cursor> cursor = {}, const CursorState& place = {});

  // `arrived`: when what is new in this call can have come at the earliest.
  Offer offer(const BatchLimits& limits, Time arrived);
  // For a destination that knows a batch again: the same batch as the last time, if it has been offered
  // before and was not acknowledged (also in a run before, where the log outlives the program); else one that
  // ends where the ordinals reach a multiple of `most`, so that the same batch would be cut again, at the
  // latest.
  // Shape:  `batch` is of what was offered, and not empty.
  [[nodiscard]] Batch settle(Batch batch, std::size_t most) const;
  // Called before such a batch goes out: it ends there until it is acknowledged. `certain`: settle() would
  // say so anyway; else it is on the disk when this returns.
  void promise(std::size_t count, bool certain);
  // The ordinal of the first of what was offered; of a gap record: the last that it is for.
  [[nodiscard]] Ordinal first_offered() const { return next_behind(0) - 1; }

  // The first `count` of what was offered are done with: delivered, or rejected and counted.
  void acknowledge(std::size_t count);
  // A record that ended then will never be there: what is proved of the log is proved of the destination from
  // behind it on.
  void note_lost(UnixMs end_time);
  // What is proved of the records that are acknowledged, and was not told yet; what told() says is.
  [[nodiscard]] std::vector<Coverage> proved() { return proved_.due(reader_, reached_); }
  void told() { proved_.told(); }
  [[nodiscard]] std::uint64_t stream() const { return reached_.stream; }  // see CursorState

  // Called after batches: what is acknowledged will not come again after a restart; the sink is then told
  // `memory` again.
  void commit(std::string memory = {});

  // What is due by time. Returns when to call again, at the latest.
  std::optional<Time> tick(Time now);

  [[nodiscard]] Ordinal high_watermark() const { return reader_.high_watermark(); }
  // Nothing new will be offered: what offer() gives from now on is all there is.
  [[nodiscard]] bool complete() const { return context_.run.log_complete.load(std::memory_order_acquire); }
  // What is not delivered now will be after a restart.
  [[nodiscard]] bool keeps() const { return cursor_.has_value(); }
  void set_hold(LogReader::Hold hold) { reader_.set_hold(hold); }

  // The last call.
  void finish();

 private:
  Result<bool> read_more();
  void make_own();
  void hold(std::span<const SessionRecord> records, Ordinal first);
  void hold_session_log(std::span<const SessionRecord> records, Ordinal first);
  void hold_gap(const Skipped& skipped);
  [[nodiscard]] Ordinal next_behind(std::size_t index) const {
    return next_[next_.size() - held_.size() + index];
  }
  void publish_position();
  void store(bool flush);

  ConsumerState& state_;
  LogReader& reader_;
  const DeliveryContext context_;
  const Takes takes_;
  std::optional<Cursor> cursor_;

  // What was read and is not acknowledged: where the reader has it, or, once more than that is wanted, in
  // records_. At most what one read() gives more than one batch.
  std::span<const SessionRecord> held_;
  bool own_ = false;
  std::vector<SessionRecord> records_;
  std::vector<Ordinal> next_;  // where the log goes on behind each of held_, which are at its end
  SessionRecord gap_;
  Time held_since_{};

  Ordinal read_to_ = 0;  // behind what was read
  ProvedRecords proved_;
  CursorState reached_;     // behind what is acknowledged
  CursorState place_;       // the same as of the last commit(): only that is stored
  bool dirty_ = false;      // not in the cursor's file
  bool unflushed_ = false;  // not on the disk
  Time flushed_at_{};
  bool in_trouble_ = false;  // storing fails
};

}  // namespace natsession
