// How patient delivery is and how much it holds.
// Threads: a plain value type.
#pragma once

#include <chrono>
#include <cstddef>

namespace natsession {

struct DeliverySettings {
  // From one producer to one sink, at most, in batches of RecordBatch::kCapacity records; at least
  // kMinQueueBatches.
  std::size_t queue_batches = 256;
  // A sink that takes nothing for so long, with its queue full, is left behind while another goes on.
  std::chrono::nanoseconds stall_limit = std::chrono::seconds(10);
  // Between two tries of what a sink did not take: this, doubling up to the limit, and spread by chance.
  std::chrono::nanoseconds retry_first = std::chrono::milliseconds(100);
  std::chrono::nanoseconds retry_limit = std::chrono::seconds(5);
  // Idle for so long: Sink::flush() is called. While the sink stays idle it is called again, more seldom, so
  // that what is driven by time (a rotation on the hour) happens without traffic too.
  std::chrono::nanoseconds idle_flush = std::chrono::seconds(1);
  std::chrono::nanoseconds idle_flush_again = std::chrono::seconds(10);
};

inline constexpr std::size_t kMinQueueBatches = 32;

}  // namespace natsession
