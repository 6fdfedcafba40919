#include "ask/progress_line.h"

#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "words.h"

namespace natsession::ctl {
namespace {

constexpr std::chrono::milliseconds kPatience{500};
constexpr std::chrono::milliseconds kInterval{200};

}  // namespace

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

}  // namespace natsession::ctl
