#include "reports.h"

#include <fmt/format.h>

#include "messages.h"

namespace natsession {

void tell_report(const Report& report) {
  using Kind = Report::Kind;
  const double seconds = std::chrono::duration<double>(report.lasted).count();
  const std::string why = report.code.empty() ? report.why : fmt::format("{}: {}", report.code, report.why);
  const auto sink = [&](std::string_view text) { return fmt::format("sink {}: {}", report.sink, text); };
  const auto ledger = [&](std::string_view text) { return fmt::format("ledger {}: {}", report.sink, text); };
  switch (report.kind) {
    case Kind::kTrouble:
      return log_warning(sink(fmt::format("{}; trying again", why)));
    case Kind::kTroubleOver:
      return log_info(
          sink(fmt::format("takes records again after {:.1f} s and {} tries", seconds, report.retries)));
    case Kind::kLagging:
      return log_error(sink(fmt::format(
          "takes nothing while others go on: lagging with {} records waiting, the oldest are dropped for it",
          report.records)));
    case Kind::kLaggingOver:
      return log_warning(sink("takes records again"));
    case Kind::kRejected:
      return log_error(sink(fmt::format("refused {} records for good: {}", report.records, why)));
    case Kind::kNotice:
    case Kind::kFlushFailed:
      return log_warning(sink(why));
    case Kind::kReopenFailed:
      return log_error(sink(fmt::format("reopening failed, the old one stays in use: {}", why)));

    case Kind::kSuspended:
      return log_error(sink(fmt::format("{}; delivery is suspended for {:.0f} s", why, seconds)));
    case Kind::kTestBatch:
      return log_info(sink("sending one batch as a test"));
    case Kind::kResumed:
      return log_info(sink(fmt::format("delivery goes on after {:.0f} s", seconds)));

    case Kind::kSkipped:
      return log_error(sink(
          fmt::format("{} records cannot be delivered, and a gap record says so: {}", report.records, why)));
    case Kind::kDeadLetterTrouble:
      return log_error(sink(fmt::format("what it refuses is not kept: {}", why)));
    case Kind::kDeadLetterTroubleOver:
      return log_info(sink("what it refuses is kept again"));
    case Kind::kCursorTrouble:
      return log_error(sink(
          fmt::format("its place in the ledger cannot be stored, a restart would repeat records: {}", why)));
    case Kind::kCursorTroubleOver:
      return log_info(sink("its place in the ledger is stored again"));
    case Kind::kPlaceLost:
      return log_error(sink(why));

    case Kind::kLedgerTrouble:
      return log_error(ledger(fmt::format("{}; records wait in memory", why)));
    case Kind::kLedgerTroubleOver:
      return log_info(ledger(fmt::format("records are written again after {:.1f} s", seconds)));
    case Kind::kUpkeepTrouble:
      return log_error(ledger(why));
    case Kind::kUpkeepTroubleOver:
      return log_info(ledger("kept in order again"));
    case Kind::kSegmentDeleted:
      return log_info(ledger(why));
  }
}

}  // namespace natsession
