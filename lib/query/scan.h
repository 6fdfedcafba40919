// Scan: runs a Query over a ledger, or another store of the log (log_store.h), several frames at once on
// several cores, and hands on what it finds in batches, one for each frame that has something. The ledger may
// be written, sealed and deleted from meanwhile: a scan sees the segments that were there when it began, each
// once, and says what it could not see (ScanReport).
//
//   auto ledger = SegmentList::open("/var/lib/natsession/ledger");
//   Scan scan(*ledger, query, {});
//   while (auto batch = scan.next()) ...          // on this thread, in the order of the ledger
//   scan.report();                                // damage, gaps and what else the answer must mention
// or, for sums and counts, which need no order:
//   scan.run([&](unsigned worker, const ScanBatch& batch) { ... });   // on the workers, each with its own
//   number
//
// Memory: 4 to 7 MB for each worker's frame and each batch that waits; they are 3 * threads together at most.
// Threads: one for each object, the owner's; progress() from any.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "query/frame_filter.h"
#include "query/frame_plan.h"
#include "query/log_store.h"
#include "query/query.h"
#include "query/remote_frames.h"
#include "query/scan_batch.h"

namespace natsession {

struct ScanProgress {
  std::uint64_t frames_done = 0;
  std::uint64_t frames = 0;   // of all segments that may hold an answer; grows where an open segment does
  std::uint64_t records = 0;  // looked at
  // 0 to 1.
  [[nodiscard]] double share() const;
};

// What every question has in common. Copied; what it points to must outlive the question.
struct ScanControl {
  unsigned threads = 0;  // 0: one for each core, at most 8
  // When this is set, or this time has come, the question ends soon, and ScanReport::cancelled says so.
  const std::atomic<bool>* cancel = nullptr;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  // The end of the question's time stands for "now": its answer is complete as far as is recorded.
  bool until_now = false;
  // Sums that are ready are not asked: records alone answer.
  bool from_records = false;
  std::function<void(const ScanProgress&)>
      progress;  // called often, from one thread at a time, not always the same

  [[nodiscard]] bool cancelled() const {
    return (cancel != nullptr && cancel->load(std::memory_order_relaxed)) ||
           (deadline && std::chrono::steady_clock::now() >= *deadline);
  }
};

class Scan {
 public:
  static constexpr unsigned kMaxThreads = 8;

  enum class Order { kOldestFirst, kNewestFirst };  // of the ledger's frames, for next()

  Scan(const LogStore& ledger, Query query, ScanControl control, Order order = Order::kOldestFirst);
  ~Scan();
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;

  // The next batch in the order of the ledger, or null at the end, when it was cancelled or when an error
  // ended it (see error()). Where sessions longer than a window stand in a frame of their own, that frame
  // goes as a whole before or behind the others that were written with it. The batch is good until the next
  // call.
  [[nodiscard]] const ScanBatch* next();

  // Hands every batch to `use`, in no order, from several threads at once; never twice at once with the same
  // worker number, which is below threads(). Returns when all is done. Not together with next().
  void run(const std::function<void(unsigned worker, const ScanBatch& batch)>& use);
  [[nodiscard]] unsigned threads() const { return threads_; }
  [[nodiscard]] static unsigned threads_of(const ScanControl& control);

  // Ends it early: next() returns null from then on.
  void stop();
  // The same for run(), from within `use`: no further frame is begun with.
  void give_up();

  [[nodiscard]] ScanProgress progress() const { return {frames_done_, frames_, records_}; }
  // Complete when next() has returned null, or run() has returned.
  [[nodiscard]] const ScanReport& report() const { return plan_.report(); }
  // What ended it before its time: kIo, kPermission. Damage is no error. ScanReport::cancelled is none
  // either.
  [[nodiscard]] Result<void> error() const { return plan_.error(); }

 private:
  // A place for a batch on its way to next(). Frame number n goes through slot n % slots.
  struct Slot {
    ScanBatch batch;
    bool done = false;
    bool has_rows = false;
  };

  void begin();
  void work();
  void work_for(unsigned worker, const std::function<void(unsigned, const ScanBatch&)>& use);
  std::optional<FrameTask> take();
  bool read(const FrameTask& task, ScanBatch& batch, std::vector<KnownGap>& gaps, std::string& why);
  bool handle(const FrameTask& task, bool in_order, ScanBatch& batch);
  void finish();

  const Query query_;
  const ScanControl control_;
  const FrameFilter filter_;
  const unsigned threads_;

  std::mutex mutex_;  // of what follows, up to the blank line
  FramePlan plan_;
  std::unique_ptr<RemoteFrames> remote_;  // null: plan_ has the frames
  std::uint64_t taken_ = 0;               // frames that workers have begun with
  std::uint64_t given_ = 0;               // frames that next() is done with
  unsigned working_ = 0;                  // threads that have not ended
  bool stopped_ = false;
  bool exhausted_ = false;  // no frame is left to take

  std::condition_variable room_;   // for workers: a slot is free
  std::condition_variable ready_;  // for next(): a slot is done
  std::vector<Slot> slots_;
  ScanBatch first_;     // while there are no threads
  unsigned alone_ = 0;  // frames that next() has handled itself
  std::vector<std::thread> pool_;
  bool begun_ = false;
  bool holding_ = false;  // the caller of next() has the slot of given_
  std::mutex progress_mutex_;
  std::atomic<std::uint64_t> frames_done_ = 0;
  std::atomic<std::uint64_t> frames_ = 0;
  std::atomic<std::uint64_t> records_ = 0;
};

}  // namespace natsession
