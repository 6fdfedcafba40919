#include "messages.h"

#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace natsession {
namespace {

struct Level {
  int syslog;  // RFC 5424 severity, as sd-daemon(3) puts it before a line
  std::string_view name;
};

constexpr Level kLevels[] = {{3, "error"}, {4, "warning"}, {6, "info"}, {7, "debug"}};

std::string program_name = "natsessiond";  // set once, before there are threads
bool to_journal = false;                   // likewise
std::atomic<LogLevel> least_level{LogLevel::kInfo};

// journald connects a unit's stderr to itself and says to which file, so that a redirected stderr is told
// apart.
bool stderr_is_journal() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

void write_message(LogLevel level, std::string_view text) {
  if (level > least_level.load(std::memory_order_relaxed)) return;
  const Level& told = kLevels[static_cast<int>(level)];
  std::string line;
  if (to_journal) {
    line = fmt::format("<{}>{}\n", told.syslog, text);
  } else if (level == LogLevel::kInfo) {
    line = fmt::format("{}: {}\n", program_name, text);
  } else {
    line = fmt::format("{}: {}: {}\n", program_name, told.name, text);
  }
  // A stderr that takes nothing is nobody's reason to stop.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void open_messages(std::string_view program, LogLevel least) {
  program_name = program;
  to_journal = stderr_is_journal();
  set_message_level(least);
}

void set_message_level(LogLevel least) {
  least_level.store(least, std::memory_order_relaxed);
}

void log_error(std::string_view text) {
  write_message(LogLevel::kError, text);
}
void log_warning(std::string_view text) {
  write_message(LogLevel::kWarning, text);
}
void log_info(std::string_view text) {
  write_message(LogLevel::kInfo, text);
}
void log_debug(std::string_view text) {
  write_message(LogLevel::kDebug, text);
}

}  // namespace natsession
