#include "ledger/ledger_lock.h"

#include <sys/file.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "base/unlinked.h"
#include "ledger/ledger_directory.h"

namespace natsession {
namespace {

constexpr std::string_view kPid = "pid ";
constexpr std::string_view kClosed = "\nstate closed\n";
constexpr std::string_view kUntil = "\nuntil ";
// The file is always as long: so it needs no room when it changes, and is never half of one state, half of
// the other.
constexpr std::size_t kLength = 64;

std::string pid_in(std::string_view text) {
  if (!text.starts_with(kPid)) return "unknown";
  const std::string_view rest = text.substr(kPid.size());
  const std::string_view digits = rest.substr(0, rest.find_first_not_of("0123456789"));
  return digits.empty() || digits.size() > 10 ? "unknown" : std::string(digits);
}

std::optional<UnixMs> until_in(std::string_view text) {
  const auto at = text.find(kUntil);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(at + kUntil.size());
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), ms);
  if (error != std::errc() || end == rest.data() + rest.size() || *end != '\n') return std::nullopt;
  return UnixMs(std::chrono::milliseconds(ms));
}

}  // namespace

Result<LedgerLock> LedgerLock::take(const std::string& directory) {
  const std::string path = directory + "/LOCK";
  auto directory_fd = open_directory(directory, /*follow_link=*/true);
  if (!directory_fd) return directory_fd.error();
  auto fd = open_regular(directory_fd->get(), "LOCK", path, O_RDWR | O_CREAT, 0640);
  if (!fd) return fd.error();
  LedgerLock lock(std::move(*fd), path);

  const bool locked = ::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) == 0;
  const int cause = locked ? 0 : errno;
  std::array<char, kLength> bytes{};
  const ssize_t count = ::pread(lock.fd_.get(), bytes.data(), bytes.size(), 0);
  const std::string_view text(bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  if (cause == EWOULDBLOCK) {
    return Error{ErrorKind::kUnavailable,
                 "ledger " + directory + ": another process is writing it: pid " + pid_in(text)};
  }
  if (!locked) return system_error("ledger: lock " + path, cause);
  lock.was_closed_ = text.find(kClosed) != std::string_view::npos;
  if (lock.was_closed_) lock.closed_until_ = until_in(text);
  return lock;
}

bool LedgerLock::removed() const {
  return is_unlinked(fd_);
}

Result<void> LedgerLock::mark_closed(UnixMs until) {
  return mark("closed" + std::string(kUntil) + std::to_string(until.time_since_epoch().count()));
}

Result<void> LedgerLock::mark(std::string_view state) {
  std::string text = std::string(kPid) + std::to_string(::getpid()) + "\nstate " + std::string(state) + "\n";
  text.resize(kLength - 1, ' ');
  text += '\n';
  ssize_t count = 0;
  do {
    count = ::pwrite(fd_.get(), text.data(), text.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return system_error("ledger: write " + path_, errno);
  if (count != ssize_t{kLength}) return system_error("ledger: write " + path_, ENOSPC);
  if (::fdatasync(fd_.get()) != 0) return system_error("ledger: fdatasync " + path_, errno);
  return {};
}

}  // namespace natsession
