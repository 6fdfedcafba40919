// The daemon's answers as tables for people.
// Threads: one; pure functions but for the time zone.
#pragma once

#include <string>
#include <vector>

#include "control/status.h"
#include "words.h"

namespace natsession::ctl {

[[nodiscard]] std::string status_text(const Status& status, const Screen& screen);
// `subscribers`: whose each session is, in a few words; empty: nobody is to be shown.
[[nodiscard]] std::string sessions_text(const SessionsAnswer& answer, const Screen& screen,
                                        const std::vector<std::string>& subscribers = {});

}  // namespace natsession::ctl
