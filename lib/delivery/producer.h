// Producer: one collector's way into delivery. It fills batches and hands them to the queue of every
// receiver: of every sink, or, where there is a ledger, of the ledger's writer alone.
//
// Pressure: has_room() is false while any healthy receiver's queue is full; the collector then leaves its
// events in the kernel, which holds them. A sink that has taken nothing for the stall limit while another
// goes on is left behind: it counts no more, what it misses is dropped and counted for it alone, and when
// half its queue is empty again it gets one gap record that says so, and then goes on. A receiver that is
// alone is never left behind.
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
#include "delivery/record_gap.h"
#include "delivery/settings.h"
#include "record/record_output.h"

namespace natsession {

class Producer final : public RecordOutput {
 public:
  // Adds a lane to each receiver. `receivers` and `clock` outlive the producer.
  Producer(std::span<Receiver* const> receivers, const DeliverySettings& settings, const Clock& clock);

  void emit(const SessionRecord& record) override;
  [[nodiscard]] bool has_room() override;
  // Hands on what was emitted so far. To be called at the end of every turn of the collector, also of an idle
  // one.
  void flush();
  // The last call, from any thread once the collector's has ended: hands on everything, gap records too.
  void finish();

 private:
  // This producer's view of one receiver.
  struct Outlet {
    Receiver* receiver = nullptr;
    Lane* lane = nullptr;
    bool has_open = false;  // the open batch is in its queue
    bool behind = false;
    RecordGap gap;                                       // what it missed
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
