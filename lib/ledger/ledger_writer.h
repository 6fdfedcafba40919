// LedgerWriter: appends records to a ledger. There is one writer of a ledger at a time, in any process: it
// holds the directory's lock.
//
// What append() took stands in memory until its frame is written (sync()). When the disk is full nothing is
// lost and nothing stops: append() takes no more than one frame's worth beyond what could not be written, and
// the next call that finds room writes it.
//
// Threads: one, the writer's. status() from any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "base/time.h"
#include "ledger/coverage.h"
#include "ledger/frame_encoder.h"
#include "ledger/ledger_directory.h"
#include "ledger/ledger_settings.h"
#include "ledger/segment_appender.h"

namespace natsession {

struct WriterStatus {
  std::uint64_t appended = 0;  // records taken since the start
  Ordinal written = 0;         // ordinals below this are in frames
  std::uint64_t pending = 0;   // records in memory
  // All sessions that ended before are recorded, in every namespace, and readers see it; none: not known.
  std::optional<UnixMs> proved_until;
  std::string failure;  // why nothing can be written now: the disk is full; empty when all is well
};

class LedgerWriter {
 public:
  // Makes the directory when it is absent (0750), takes its lock, cuts a torn tail of the last segment. What
  // can be read of that is written once more; or not, if the caller has it all (`torn_is_known`).
  // Errors: kUnavailable if another writer has the lock, naming its pid; kPermission, kIo with the path.
  [[nodiscard]] static Result<std::unique_ptr<LedgerWriter>> open(const LedgerSettings& settings,
                                                                  const Clock& clock,
                                                                  bool torn_is_known = false);
  LedgerWriter(const LedgerWriter&) = delete;
  LedgerWriter& operator=(const LedgerWriter&) = delete;
  ~LedgerWriter();  // closes

  // The start of the program has succeeded: from here on LOCK says that the ledger is written, and close()
  // that it was closed in order. Without it LOCK goes on telling of the run before, which a refused start
  // must not make forgotten.
  // Threads: any; LOCK changes with the next call of the writer's.
  void begin() { begun_.store(true, std::memory_order_release); }

  // Writes all there is, and says in LOCK that nothing is missing. Nothing may be appended any more.
  void close();

  // Takes records, from the front, and returns how many: all, unless the disk has been full for so long that
  // the writer's memory is. Copies what records point to. Writes frames as they fill up or fall due. What one
  // call takes, up to kMaxFrameRecords, is in the ledger as a whole or not at all, also after a kill.
  std::size_t append(std::span<const SessionRecord> records);

  // Writes what is due: to be called again by the time that it returns (steady), also when nothing is
  // appended.
  std::optional<std::chrono::nanoseconds> tick();

  // Writes all there is, whatever the interval, and syncs unless SyncMode::kNever.
  // Errors: the cause, with the path; what could not be written stays in memory.
  Result<void> sync();

  // What is complete with the records that were appended so far: of `all` namespaces, or some. It is claimed
  // when these records are in frames, which wants_proof() waits for; where nothing is appended, once a
  // minute, or at once if it is `urgent`.
  [[nodiscard]] bool wants_proof() const { return !claim_ || written_ >= claim_->end; }
  void prove(std::vector<Coverage> proved, bool all, bool urgent);

  // Called after each frame that is written, from the writer's thread: readers may look now.
  void on_written(std::function<void()> call) { on_written_ = std::move(call); }

  // The run before this one; nullopt if there was none.
  struct PreviousRun {
    // Until when it said that it had recorded all; else when the newest record ended. Ahead of now where the
    // clock was set back since.
    UnixMs until;
    bool crashed = false;  // it did not close the ledger in order: what was in its memory is lost
    Booted booted;         // by the clock that `until` is of; without an id where it is not known
    std::vector<CoverageClaim> coverage;  // what it and those before it proved, in that order
  };
  [[nodiscard]] std::optional<PreviousRun> previous_run() const { return previous_run_; }
  // Before the first append(): the ordinal of the record that comes next.
  [[nodiscard]] Ordinal next() const { return written_ + pending_.size(); }

  [[nodiscard]] WriterStatus status() const {
    return status_.with([](const WriterStatus& status) { return status; });
  }

  // What the file of coverage claims by now, of this run and those before it, each with the end that it was
  // proved by.
  // Threads: any.
  [[nodiscard]] std::vector<CoverageClaim> claims() const {
    return claims_.with([](const std::vector<CoverageClaim>& claims) { return claims; });
  }

  // Until when there are records of all that happened, for the next run: told when the collectors have ended.
  // Else it is when the writer ends.
  // Threads: any.
  void set_logged_until(UnixMs time) { logged_until_.store(time, std::memory_order_release); }

 private:
  // What is held until it is in a frame.
  class PendingRecords {
   public:
    void add(std::span<const SessionRecord> records) {
      records_.insert(records_.end(), records.begin(), records.end());
      calls_.push_back(records.size());
    }
    // How many of the oldest are whole calls of add(), and no more than a frame's.
    [[nodiscard]] std::size_t whole() const {
      std::size_t sum = 0;
      for (const std::size_t call : calls_) {
        if (sum + call > kMaxFrameRecords) break;
        sum += call;
      }
      return sum;
    }
    [[nodiscard]] std::span<const SessionRecord> records() const {
      return std::span(records_).subspan(dropped_);
    }
    [[nodiscard]] std::size_t size() const { return records_.size() - dropped_; }
    [[nodiscard]] bool empty() const { return size() == 0; }
    // Forgets the oldest, as many as whole() said.
    void drop(std::size_t count) {
      for (std::size_t left = count; left > 0; calls_.pop_front()) left -= calls_.front();
      dropped_ += count;
      if (dropped_ < records_.size() && dropped_ < kMaxFrameRecords) return;
      records_.erase(records_.begin(), records_.begin() + static_cast<std::ptrdiff_t>(dropped_));
      dropped_ = 0;
    }

   private:
    std::vector<SessionRecord> records_;
    std::deque<std::size_t> calls_;  // how many each brought
    std::size_t dropped_ = 0;
  };

  // What is to be claimed when all below `end` is in frames.
  struct Claim {
    std::vector<Coverage> proved;
    bool all = false;
    bool urgent = false;
    Ordinal end = 0;
    Booted booted;
  };

  // A group of frames that is encoded and not yet written: of the oldest pending records.
  struct Group {
    std::size_t records = 0;
    std::string bytes;
  };

  LedgerWriter(const LedgerSettings& settings, const Clock& clock, LedgerDirectory directory,
               LedgerLock lock);
  Result<void> start(bool torn_is_known);
  void mark_open();
  [[nodiscard]] bool due(std::chrono::nanoseconds now) const;
  void write_due();
  bool write_group(bool flush);
  void encode_group();
  Result<void> ready_segment();
  Result<void> make_directory_anew();
  [[nodiscard]] bool segment_is_over() const;
  [[nodiscard]] std::chrono::milliseconds segment_age() const;
  bool flush_segment();
  Result<void> open_coverage();
  void claim();
  void note_claims();
  [[nodiscard]] std::chrono::nanoseconds next_claim() const;
  bool fail(const Error& error);
  void publish();

  const LedgerSettings settings_;
  const Clock& clock_;
  LedgerDirectory directory_;
  LedgerLock lock_;
  bool started_ = false;
  std::atomic<bool> begun_{false};
  bool marked_open_ = false;
  bool closed_ = false;
  std::optional<PreviousRun> previous_run_;
  std::atomic<UnixMs> logged_until_{UnixMs()};
  std::function<void()> on_written_;

  std::optional<SegmentAppender> segment_;
  std::chrono::nanoseconds segment_since_{};  // steady: when it was opened
  GroupEncoder encoder_;
  PendingRecords pending_;
  std::chrono::nanoseconds pending_since_{};  // steady: of the oldest; only if there are any
  Group group_;
  Ordinal written_ = 0;
  std::uint64_t appended_ = 0;
  bool unflushed_ = false;
  std::chrono::nanoseconds flushed_at_{};  // steady
  std::optional<CoverageFile> coverage_;
  std::optional<Claim> claim_;
  std::uint64_t claimed_ = 0;               // appended_ then
  std::chrono::nanoseconds claimed_at_{};   // steady
  std::chrono::nanoseconds appended_at_{};  // steady
  bool proving_ = false;                    // prove() was called
  std::optional<UnixMs> proved_until_;
  std::string failure_;
  Guarded<WriterStatus> status_;
  Guarded<std::vector<CoverageClaim>> claims_;
};

}  // namespace natsession
