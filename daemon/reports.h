// What delivery tells, as messages of the daemon.
// Threads: any.
#pragma once

#include "delivery/report.h"

namespace natsession {

void tell_report(const Report& report);

}  // namespace natsession
