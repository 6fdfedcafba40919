#include "service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "helper_process.h"

namespace natsession {
namespace {

constexpr std::chrono::seconds kStatusInterval{5};

// The positive number that a variable holds.
std::optional<std::int64_t> number_in(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  std::int64_t number = 0;
  const char* const end = text + std::strlen(text);
  const auto [last, error] = std::from_chars(text, end, number);
  return error == std::errc{} && last == end && number > 0 ? std::optional(number) : std::nullopt;
}

// $WATCHDOG_USEC, if it is meant for this process.
std::optional<std::chrono::microseconds> watchdog_of_environment() {
  if (std::getenv("WATCHDOG_PID") != nullptr && number_in("WATCHDOG_PID") != ::getpid()) return std::nullopt;
  const auto usec = number_in("WATCHDOG_USEC");
  return usec ? std::optional(std::chrono::microseconds(*usec)) : std::nullopt;
}

std::string age_text(std::chrono::milliseconds age) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(age);
  if (hours >= std::chrono::hours(48)) return fmt::format("{} days", hours.count() / 24);
  if (hours >= std::chrono::hours(2)) return fmt::format("{} hours", hours.count());
  return fmt::format("{} minutes", std::chrono::duration_cast<std::chrono::minutes>(age).count());
}

// What $LISTEN_FDS and $LISTEN_FDNAMES tell, if it is meant for this process.
ServiceManager::Stored stored_of_environment() {
  ServiceManager::Stored stored;
  constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
  const char* const text = std::getenv("LISTEN_FDNAMES");
  std::string_view names = text != nullptr ? text : "";
  const bool is_meant = number_in("LISTEN_PID") == ::getpid();
  const auto count = is_meant ? std::min<std::int64_t>(number_in("LISTEN_FDS").value_or(0), 1024) : 0;
  for (int fd = kFirst; fd < kFirst + count; ++fd) {
    const std::size_t end = std::min(names.find(':'), names.size());
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    stored[std::string(names.substr(0, end))].reset(fd);
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  for (const char* const name : {"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"}) ::unsetenv(name);
  return stored;
}

}  // namespace

ServiceManager::ServiceManager() : stored_(stored_of_environment()) {
  if (const char* const path = std::getenv("NOTIFY_SOCKET");
      path != nullptr && (path[0] == '/' || path[0] == '@') &&
      std::strlen(path) < sizeof(sockaddr_un::sun_path)) {
    path_ = path;
  }
  if (const auto limit = watchdog_of_environment(); limit && !path_.empty()) {
    watched_ = true;
    // Half of it, as sd_watchdog_enabled(3) has it, and a bit sooner.
    const auto soon = std::chrono::duration_cast<std::chrono::milliseconds>(*limit / 3);
    interval_ = std::clamp(soon, std::chrono::milliseconds(1), interval_);
  }
  for (const char* const name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
}

void ServiceManager::send(std::string_view state, int fd) const {
  if (path_.empty()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  if (path_.front() == '@') address.sun_path[0] = '\0';  // an abstract name

  // A manager that does not listen is no reason to stop, or to wait.
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
  // NOLINTNEXTLINE: the socket API's own cast
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return;
  (void)send_message(socket.get(), std::as_bytes(std::span(state)), std::span(&fd, fd < 0 ? 0 : 1));
}

void ServiceManager::store(const std::string& name, int fd) const {
  forget(name);
  send("FDSTORE=1\nFDNAME=" + name, fd);
}

void ServiceManager::forget(const std::string& name) const {
  send("FDSTOREREMOVE=1\nFDNAME=" + name);
}

void ServiceManager::ready() {
  send("READY=1\nSTATUS=logging NAT sessions");
}

void ServiceManager::reloading() {
  // By this clock a manager knows which of several reloads is meant.
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000 + now.tv_nsec / 1000));
}

void ServiceManager::reloaded(std::string_view outcome) {
  reload_outcome_ = outcome;
  status_at_ = {};
  send("READY=1");
}

void ServiceManager::stopping() {
  send("STOPPING=1\nSTATUS=stopping");
}

void ServiceManager::alive() const {
  if (watched_) send("WATCHDOG=1");
}

void ServiceManager::tick(std::chrono::nanoseconds steady, const std::function<Status()>& status) {
  if (path_.empty()) return;
  if (status_at_.count() != 0 && steady - status_at_ < kStatusInterval) return;
  status_at_ = steady;
  send("STATUS=" + status_line(status()) + (reload_outcome_.empty() ? "" : "; " + reload_outcome_));
}

std::string status_line(const Status& status) {
  std::uint64_t live = 0;
  bool known = true;
  double rate = 0;
  std::uint64_t lost = 0;
  for (const CollectorReport& collector : status.collectors) {
    if (!collector.open) known = false;
    live += collector.open.value_or(0);
    rate += collector.records_per_second;
    lost += collector.events_lost;
  }
  const std::string open = known ? fmt::format("{} open sessions, ", live) : "";
  std::string line =
      status.logging ? fmt::format("logging: {}{:.0f} records/s", open, rate) : "logging is disabled";
  if (lost > 0) line += fmt::format(", {} events lost", lost);
  for (const SinkReport& sink : status.sinks) {
    line += fmt::format("; {} {}", sink.name, sink.enabled ? to_string(sink.state) : "disabled");
    if (sink.waiting > 0) line += fmt::format(", {} waiting", sink.waiting);
  }
  if (status.ledger) {
    line += fmt::format("; ledger {} MiB", status.ledger->bytes >> 20U);
    if (status.ledger->oldest && status.now > *status.ledger->oldest)
      line += " of " + age_text(status.now - *status.ledger->oldest);
    if (!status.ledger->failure.empty()) line += ", cannot be written: " + status.ledger->failure;
  }
  // One line it has to be.
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace natsession
