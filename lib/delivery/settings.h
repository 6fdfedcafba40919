// How patient delivery is and how much it holds; and what is asked for of one sink.
// Threads: plain value types; a SinkSpec owns its sink.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/byte_count.h"
#include "sink/sink.h"

namespace natsession {

struct DeliverySettings {
  // What memory holds of the log for each collector, in batches of RecordBatch::kCapacity records; at least
  // kMinQueueBatches.
  std::size_t queue_batches = 256;
  // A sink that takes nothing for so long while the memory is full of what it has not read, and another goes
  // on, is lagging: what it does not read is overwritten.
  std::chrono::nanoseconds stall_limit = std::chrono::seconds(10);
  // Between two tries of what a sink did not take: this, doubling up to the limit, and spread by chance.
  std::chrono::nanoseconds retry_first = std::chrono::milliseconds(100);
  std::chrono::nanoseconds retry_limit = std::chrono::seconds(5);
  // Idle for so long: Sink::flush() is called. While the sink stays idle it is called again, more seldom, so
  // that what is driven by time (a rotation on the hour) happens without traffic too.
  std::chrono::nanoseconds idle_flush = std::chrono::seconds(1);
  std::chrono::nanoseconds idle_flush_again = std::chrono::seconds(10);
  // A sink's place in the ledger is in its file after every batch, and on the disk so often.
  std::chrono::nanoseconds cursor_flush = std::chrono::seconds(1);
  // With a ledger a stop waits so long for the sinks: what one has not taken then waits there.
  std::chrono::nanoseconds ledger_grace = std::chrono::seconds(1);
  // A file of dead letters, and its predecessor FILE.1, grow no larger.
  ByteCount dead_letter_limit{std::uint64_t{16} << 20};
};

inline constexpr std::size_t kMinQueueBatches = 32;

// When a batch is full, and how long one that is not may wait for more.
struct BatchLimits {
  std::size_t records = 1000;               // at least 1
  ByteCount bytes{std::uint64_t{1} << 20};  // as estimated (batch.h); one record alone may be more
  // Since the first of its records could be read. Zero: what there is goes out at once, as is right for local
  // sinks.
  std::chrono::nanoseconds linger{};
};

// One sink, and how it is to be served. The sink's name() is its name in status and set_enabled().
// What a consumer is given of the log, which has flow logs' records as well; the others it passes over.
enum class Takes : bool { kSessionLog, kAll };

struct SinkSpec {
  std::unique_ptr<Sink> sink;
  BatchLimits batch = {};
  // After a target failure nothing is sent for so long; then, once there is new data, one batch as a test.
  std::chrono::nanoseconds suspend = std::chrono::minutes(5);
  // A sink that the ledger does not know yet begins with the oldest record, not behind the newest.
  bool from_start = false;
  Takes takes = Takes::kSessionLog;
};

}  // namespace natsession
