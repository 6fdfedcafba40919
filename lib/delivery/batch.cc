#include "delivery/batch.h"

namespace natsession {
namespace {

// A line of JSON with IPv4 addresses and counters of nine digits; IPv6 adds up to 24 for each of four.
constexpr std::size_t kLineBytes = 560;
constexpr std::size_t kLineBytesV6 = kLineBytes + std::size_t{4} * 24;

}  // namespace

std::size_t estimated_bytes(const SessionRecord& record) {
  return (record.pub_ip.is_v4() ? kLineBytes : kLineBytesV6) + record.origin->instance.size() +
         record.origin->netns.size() + record.vpc_id.size();
}

Batch cut_batch(std::span<const SessionRecord> records, const BatchLimits& limits) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (i == limits.records) return {i, true};
    bytes += estimated_bytes(records[i]);
    if (bytes > limits.bytes.bytes && i > 0) return {i, true};
  }
  return {records.size(), records.size() == limits.records || bytes >= limits.bytes.bytes};
}

}  // namespace natsession
