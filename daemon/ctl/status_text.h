// The daemon's answers as tables for people.
// Threads: one; pure functions but for the time zone.
#pragma once

#include <string>

#include "control/status.h"
#include "words.h"

namespace natsession::ctl {

[[nodiscard]] std::string status_text(const Status& status, const Screen& screen);
[[nodiscard]] std::string sessions_text(const SessionsAnswer& answer, const Screen& screen);

}  // namespace natsession::ctl
