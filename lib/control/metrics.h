// Metrics: the status as Prometheus reads it.
// Threads: any; pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "control/status.h"

namespace natsession {

// So many public addresses of a namespace have metrics of their own, those with the most ports in use; the
// others are summed up as nat_ip="other". Protocols without a name are summed up as protocol="other".
inline constexpr std::size_t kMaxNatIpsInMetrics = 4096;

// `ports` may be empty when it cannot be told.
[[nodiscard]] std::string metrics_text(const Status& status, const std::vector<PortUse>& ports);

}  // namespace natsession
