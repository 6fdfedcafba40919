// LogAccess: a ledger to ask, with Ctrl-C and a progress line for questions that take long.
// Threads: one.
#pragma once

#include <memory>
#include <string_view>

#include "ask/answer_printer.h"
#include "ask/interrupt.h"
#include "ask/progress_line.h"
#include "base/result.h"
#include "command.h"
#include "query/ledger_view.h"

namespace natsession::ctl {

class LogAccess {
 public:
  // The ledger of --ledger, else the daemon's.
  // Errors: as ledger_directory() and LedgerView::open().
  [[nodiscard]] static Result<std::unique_ptr<LogAccess>> open(const Global& global);

  [[nodiscard]] const LedgerView& ledger() const { return ledger_; }
  [[nodiscard]] LedgerView take_ledger() { return std::move(ledger_); }
  [[nodiscard]] ScanControl control();
  void end_progress() { progress_.clear(); }

  // Writes what is left of an answer, its warnings, and whether it was interrupted; the exit status.
  [[nodiscard]] int finish(std::string_view command, AnswerPrinter& answer, const ScanReport& report);
  // Of a question that Ctrl-C ended before there was an answer.
  [[nodiscard]] int interrupted(std::string_view command);

 private:
  explicit LogAccess(LedgerView ledger) : ledger_(std::move(ledger)) {}

  LedgerView ledger_;
  Interrupt interrupt_;
  ProgressLine progress_;
};

}  // namespace natsession::ctl
