#include "ledger_place.h"

#include "control/status_json.h"
#include "control_client.h"

namespace natsession::ctl {

Result<std::string> ledger_directory(const Global& global) {
  if (!global.ledger.empty()) return global.ledger;
  const auto body = ControlClient(global.control).get("/status");
  if (!body) {
    return Error{body.error().kind, "which ledger? Give --ledger DIR, because the daemon cannot be asked: " +
                                        body.error().message};
  }
  auto status = read_status_json(*body);
  if (!status) return status.error();
  if (!status->ledger)
    return Error{ErrorKind::kUnavailable, "the daemon has no ledger: it was started without --ledger DIR"};
  return std::move(status->ledger->directory);
}

}  // namespace natsession::ctl
