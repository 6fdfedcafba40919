// Producer: one collector's way into delivery. It fills batches and hands them to the queue of every sink.
//
// Pressure: has_room() is false while any healthy sink's queue is full; the collector then leaves its events
// in the kernel, which holds them. A sink that has taken nothing for the stall limit while another goes on is
// left behind: it counts no more, what it misses is dropped and counted for it alone, and when half its queue
// is empty again it gets one gap record that says so, and then goes on.
//
// Threads: one, the collector's. No lock, no allocation in the steady state; a system call only to wake a
// sleeper.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "delivery/lane.h"
#include "delivery/record_batch.h"
#include "delivery/settings.h"
#include "record/record_output.h"

namespace natsession {

class Producer final : public RecordOutput {
 public:
  // Adds a lane to each sink. `sinks` and `clock` outlive the producer.
  Producer(std::span<const std::unique_ptr<SinkState>> sinks, const DeliverySettings& settings,
           const Clock& clock);

  void emit(const SessionRecord& record) override;
  [[nodiscard]] bool has_room() override;
  // Hands on what was emitted so far. To be called at the end of every turn of the collector, also of an idle
  // one.
  void flush();
  // The last call, from any thread once the collector's has ended: hands on everything, gap records too.
  void finish();

 private:
  // The records that one sink missed.
  class Gap {
   public:
    void add(std::span<const SessionRecord> records);
    [[nodiscard]] bool empty() const { return origin_ == nullptr; }
    [[nodiscard]] SessionRecord record() const;

   private:
    const Origin* origin_ = nullptr;
    UnixMs first_ = UnixMs::max();
    UnixMs last_ = UnixMs::min();
    Count lost_{0};
  };

  // This producer's view of one sink.
  struct Outlet {
    SinkState* sink = nullptr;
    Lane* lane = nullptr;
    bool has_open = false;  // the open batch is in its queue
    bool behind = false;
    Gap gap;
    std::optional<std::chrono::nanoseconds> full_since;  // steady; while another sink went on
    std::uint64_t progress_then = 0;
  };

  bool open_batch();
  void publish();
  void seal();
  void drop(const SessionRecord& record);
  void watch_for_stalls();
  void leave_behind(Outlet& outlet);
  void take_back(Outlet& outlet);
  void take_back_those_with_room();

  const std::chrono::nanoseconds stall_limit_;
  const Clock& clock_;
  RecordBatchPool pool_;
  std::vector<Outlet> outlets_;
  RecordBatch* open_ = nullptr;
  std::size_t published_ = 0;  // of the open batch
  std::size_t behind_count_ = 0;
};

}  // namespace natsession
