#include "ask/log_access.h"

#include <cstdio>

#include <fmt/format.h>

#include "ask/report_notes.h"
#include "ledger_place.h"

namespace natsession::ctl {

Result<std::unique_ptr<LogAccess>> LogAccess::open(const Global& global) {
  const auto directory = ledger_directory(global);
  if (!directory) return directory.error();
  auto view = LedgerView::open(*directory);
  if (!view) return view.error();
  return std::unique_ptr<LogAccess>(new LogAccess(std::move(*view)));  // NOLINT: a private constructor
}

ScanControl LogAccess::control() {
  ScanControl control;
  control.cancel = &Interrupt::asked();
  control.progress = progress_.callback();
  return control;
}

int LogAccess::finish(std::string_view command, AnswerPrinter& answer, const ScanReport& report) {
  progress_.clear();
  const int status = answer.finish(report);
  warn(command, report);
  return report.cancelled ? interrupted(command) : status;
}

int LogAccess::interrupted(std::string_view command) {
  progress_.clear();
  fmt::print(stderr, "natsessionctl: {}: interrupted: the answer is not complete\n", command);
  return kInterrupted;
}

}  // namespace natsession::ctl
