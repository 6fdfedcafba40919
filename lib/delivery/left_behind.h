// Tells of receivers that were left behind, and of those that have caught up.
// Threads: any. Each change is told once, whoever sees it first: a worker that hangs cannot tell of itself,
// so every worker tells of all.
#pragma once

#include <span>

#include "delivery/lane.h"
#include "delivery/report.h"

namespace natsession {

void tell_who_is_left_behind(std::span<Receiver* const> receivers, ReportDesk& desk);

}  // namespace natsession
