// The ctnetlink requests that this program sends.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace natsession {

// Shows entries whose status word has, under `mask`, exactly `value`.
struct StatusFilter {
  std::uint32_t value = 0;
  std::uint32_t mask = 0;
};

// IPCTNL_MSG_CT_GET with NLM_F_DUMP, all families. The filter is CTA_STATUS with CTA_STATUS_MASK (Linux 5.19;
// kernels before that ignore it and show everything).
[[nodiscard]] std::vector<std::byte> dump_request(std::uint32_t sequence, std::optional<StatusFilter> filter);

// IPCTNL_MSG_CT_GET_STATS: the cheapest question that needs the same permission as all others.
[[nodiscard]] std::vector<std::byte> stats_request(std::uint32_t sequence);

}  // namespace natsession
