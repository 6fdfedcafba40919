// What verifying a ledger found, for people and as JSON.
// Threads: any; pure functions.
#pragma once

#include <string>

#include "ledger/verify_ledger.h"

namespace natsession::ctl {

[[nodiscard]] std::string verify_text(const std::string& directory, const VerifyReport& report, bool colours);
[[nodiscard]] std::string verify_json(const VerifyReport& report);

}  // namespace natsession::ctl
