#include "ask/log_access.h"

#include <csignal>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "ask/report_notes.h"
#include "ledger_place.h"
#include "words.h"

namespace natsession::ctl {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int) {
  interrupted.store(true, std::memory_order_relaxed);
}

void set_action(void (*action)(int), int flags) {
  struct sigaction wanted {};
  wanted.sa_handler = action;
  wanted.sa_flags = flags;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &wanted, nullptr);
}

constexpr std::chrono::milliseconds kPatience{500};
constexpr std::chrono::milliseconds kInterval{200};

}  // namespace

Interrupt::Interrupt() {
  interrupted = false;
  set_action(on_signal, SA_RESTART | static_cast<int>(SA_RESETHAND));
}

Interrupt::~Interrupt() {
  set_action(SIG_DFL, 0);
}

const std::atomic<bool>& Interrupt::asked() {
  return interrupted;
}

ProgressLine::ProgressLine()
    : wanted_(::isatty(STDERR_FILENO) != 0), begun_(Clock::now()), next_(begun_ + kPatience) {}

void ProgressLine::show(const ScanProgress& progress) {
  if (!wanted_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  fmt::print(stderr, "\r\x1b[K{:.0f} %: {} records read, {:.1f} million a second", progress.share() * 100,
             grouped(progress.records), static_cast<double>(progress.records) / seconds / 1e6);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

std::function<void(const ScanProgress&)> ProgressLine::callback() {
  if (!wanted_) return {};
  return [this](const ScanProgress& progress) { show(progress); };
}

Result<std::unique_ptr<LogAccess>> LogAccess::open(const Global& global) {
  const auto directory = ledger_directory(global);
  if (!directory) return directory.error();
  auto view = SegmentList::open(*directory);
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
