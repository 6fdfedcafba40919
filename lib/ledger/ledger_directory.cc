#include "ledger/ledger_directory.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"

namespace natsession {
namespace {

constexpr std::string_view kOpen = ".open";
constexpr std::string_view kSealed = ".sealed";
constexpr std::string_view kSums = ".sums";
constexpr std::string_view kTemporary = ".tmp";
constexpr std::size_t kDigits = 16;
constexpr std::int64_t kSecondNs = 1'000'000'000;

// The stamps of a directory are no finer than the kernel's tick: a change within it could not be told.
constexpr std::int64_t kStampSlackNs = kSecondNs / 5;

std::int64_t in_ns(const timespec& time) {
  return std::int64_t{time.tv_sec} * kSecondNs + time.tv_nsec;
}

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return in_ns(now);
}

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0750) == 0 || errno == EEXIST) return {};
  return system_error("ledger: make directory " + path, errno);
}

constexpr std::string_view kPid = "pid ";
constexpr std::string_view kClosed = "\nstate closed\n";
constexpr std::string_view kUntil = "\nuntil ";
constexpr std::string_view kBoot = "\nboot ";
// The file is always as long: so it needs no room when it changes, and is never half of one state, half of
// the other.
constexpr std::size_t kLength = 128;

std::string pid_in(std::string_view text) {
  if (!text.starts_with(kPid)) return "unknown";
  const std::string_view rest = text.substr(kPid.size());
  const std::string_view digits = rest.substr(0, rest.find_first_not_of("0123456789"));
  return digits.empty() || digits.size() > 10 ? "unknown" : std::string(digits);
}

// What stands behind `key` in its line.
std::optional<std::string_view> value_of(std::string_view key, std::string_view text) {
  const auto at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + key.size());
  const auto end = text.find('\n');
  return end == std::string_view::npos ? std::nullopt : std::optional(text.substr(0, end));
}

// The time in ms that `text` is up to its end.
std::optional<UnixMs> time_in(std::string_view text) {
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return UnixMs(std::chrono::milliseconds(ms));
}

std::string digits_of(Ordinal ordinal) {
  std::string result(kDigits, '0');
  char digits[kDigits];
  const auto [end, error] = std::to_chars(digits, digits + kDigits, ordinal, 16);
  std::copy(digits, end, result.end() - (end - digits));
  return result;
}

// The segment, sealed, that a file of this name has the sums of.
std::optional<SegmentName> segment_of_sums(std::string_view text) {
  if (!text.ends_with(kSums)) return std::nullopt;
  const auto name =
      SegmentName::parse(std::string(text.substr(0, text.size() - kSums.size())) + std::string(kSealed));
  return name && name->sums() == text ? name : std::nullopt;
}

Booted booted_in(std::string_view text) {
  const auto value = value_of(kBoot, text);
  const auto blank = value ? value->find(' ') : std::string_view::npos;
  if (blank == std::string_view::npos) return {};
  const auto at = time_in(value->substr(0, blank));
  return at ? Booted{std::string(value->substr(blank + 1)), *at} : Booted{};
}

}  // namespace

std::string SegmentName::text() const {
  return digits_of(first) + std::string(sealed ? kSealed : kOpen);
}

std::string SegmentName::sums() const {
  return digits_of(first) + std::string(kSums);
}

std::optional<SegmentName> SegmentName::parse(std::string_view text) {
  if (text.size() <= kDigits) return std::nullopt;
  SegmentName name;
  const std::string_view suffix = text.substr(kDigits);
  if (suffix != kOpen && suffix != kSealed) return std::nullopt;
  name.sealed = suffix == kSealed;
  const char* const end = text.data() + kDigits;
  const auto [rest, error] = std::from_chars(text.data(), end, name.first, 16);
  // What does not read back to the same text (upper case) is not ours.
  if (error != std::errc() || rest != end || name.first > kMaxOrdinal || name.text() != text)
    return std::nullopt;
  return name;
}

Result<UniqueFd> open_directory(const std::string& path, bool follow_link) {
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow_link ? 0 : O_NOFOLLOW);
  UniqueFd fd(::open(path.c_str(), flags));
  if (fd) return fd;
  const int cause = errno;
  const bool absent = cause == ENOENT || cause == ENOTDIR || cause == ELOOP;
  return system_error("ledger: open directory " + path, cause,
                      absent ? ErrorKind::kUnavailable : ErrorKind::kIo);
}

Result<std::vector<std::string>> names_in(int directory_fd, const std::string& path) {
  // A descriptor of its own: the position in a directory belongs to the open file.
  UniqueFd again(::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again) return system_error("ledger: open directory " + path, errno);
  const auto close = [](DIR* stream) { ::closedir(stream); };
  const std::unique_ptr<DIR, decltype(close)> stream(::fdopendir(again.get()), close);
  if (!stream) return system_error("ledger: read directory " + path, errno);
  static_cast<void>(again.release());

  std::vector<std::string> names;
  while (names.size() < LedgerDirectory::kMaxNames) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) return system_error("ledger: read directory " + path, errno);
      break;
    }
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

Result<UniqueFd> open_regular(int directory_fd, const std::string& name, const std::string& path, int flags,
                              mode_t mode) {
  // O_NONBLOCK: the open of a FIFO that somebody put there must not wait.
  UniqueFd fd(
      ::openat(directory_fd, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode));
  if (!fd) {
    const int cause = errno;
    const ErrorKind kind = cause == ENOENT || cause == EEXIST                    ? ErrorKind::kUnavailable
                           : cause == ELOOP || cause == ENXIO || cause == EISDIR ? ErrorKind::kMalformed
                                                                                 : ErrorKind::kIo;
    return system_error("ledger: open " + path, cause, kind);
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return system_error("ledger: stat " + path, errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorKind::kMalformed, "ledger: open " + path + ": it is no regular file"};
  }
  return fd;
}

Error refused_as_newer(Error newer, const std::string& directory) {
  newer.message += "; install that version again, or a later one, or begin another ledger: move " +
                   directory + " away, or name another folder";
  return newer;
}

Result<LedgerDirectory> LedgerDirectory::open(const std::string& path) {
  auto top = open_directory(path, /*follow_link=*/true);
  if (!top) return top.error();
  LedgerDirectory directory;
  directory.path_ = path;
  auto segments = open_directory(path + "/segments", /*follow_link=*/false);
  if (!segments) return segments.error();
  directory.segments_ = std::move(*segments);
  return directory;
}

Result<LedgerDirectory> LedgerDirectory::make(const std::string& path) {
  for (const char* below : {"", "/segments", "/cursors"}) {
    if (auto made = make_directory(path + below); !made) return made.error();
  }
  return open(path);
}

Result<std::vector<SegmentName>> LedgerDirectory::segments() {
  if (removed()) {
    auto now_there = open(path_);
    if (!now_there) return now_there.error();
    segments_ = std::move(now_there->segments_);
  }
  struct stat status {};
  if (::fstat(segments_.get(), &status) != 0)
    return system_error("ledger: stat " + path_ + "/segments", errno);
  // A directory that is read while a name in it is replaced by another may show neither. That happens to a
  // segment once, when it is sealed: so reading twice shows it.
  std::vector<SegmentName> found;
  bool quiet = false;
  for (int reads = 0; reads < 2 && !quiet; ++reads) {
    const std::int64_t begun = now_ns();
    auto names = names_in(segments_.get(), path_ + "/segments");
    if (!names) return names.error();
    for (const std::string& text : *names) {
      if (const auto name = SegmentName::parse(text)) found.push_back(*name);
    }
    struct stat after {};
    quiet = ::fstat(segments_.get(), &after) == 0 && in_ns(after.st_mtim) == in_ns(status.st_mtim) &&
            in_ns(after.st_mtim) < begun - kStampSlackNs;
  }
  std::sort(found.begin(), found.end(), [](const SegmentName& a, const SegmentName& b) {
    return a.first != b.first ? a.first < b.first : a.sealed > b.sealed;
  });
  const auto same = [](const SegmentName& a, const SegmentName& b) { return a.first == b.first; };
  found.erase(std::unique(found.begin(), found.end(), same), found.end());

  listed_mtime_ns_ = in_ns(status.st_mtim);
  listed_ = quiet;
  names_ = found;
  return found;
}

Result<const std::vector<SegmentName>*> LedgerDirectory::known_segments() {
  struct stat status {};
  if (listed_ && ::fstat(segments_.get(), &status) == 0 && status.st_nlink > 0 &&
      in_ns(status.st_mtim) == listed_mtime_ns_) {
    return &names_;
  }
  if (auto listed = segments(); !listed) return listed.error();
  return &names_;
}

Result<std::vector<std::string>> LedgerDirectory::leftovers() {
  auto names = names_in(segments_.get(), path_ + "/segments");
  if (!names) return names.error();
  std::sort(names->begin(), names->end());
  std::vector<std::string> found;
  for (const std::string& text : *names) {
    const auto is_there = [&](Ordinal first, bool sealed) {
      return std::binary_search(names->begin(), names->end(), SegmentName{first, sealed}.text());
    };
    if (text.ends_with(kTemporary)) {
      const auto target = std::string_view(text).substr(0, text.size() - kTemporary.size());
      if (SegmentName::parse(target) || segment_of_sums(target)) found.push_back(text);
    } else if (const auto summed = segment_of_sums(text)) {
      if (!is_there(summed->first, true) && !is_there(summed->first, false)) found.push_back(text);
    } else if (const auto name = SegmentName::parse(text); name && !name->sealed) {
      if (is_there(name->first, true)) found.push_back(text);
    }
  }
  return found;
}

Result<UniqueFd> LedgerDirectory::open_file(const std::string& name, int flags, mode_t mode) const {
  return open_regular(segments_.get(), name, path_of(name), flags, mode);
}

Result<void> LedgerDirectory::rename(const std::string& from, const std::string& to) const {
  if (::renameat(segments_.get(), from.c_str(), segments_.get(), to.c_str()) == 0) return {};
  return system_error("ledger: rename " + path_of(from) + " to " + to, errno);
}

Result<void> LedgerDirectory::remove(const std::string& name) const {
  if (::unlinkat(segments_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return system_error("ledger: remove " + path_of(name), errno);
}

bool LedgerDirectory::removed() const {
  return is_unlinked(segments_);
}

Result<void> LedgerDirectory::sync() const {
  if (::fsync(segments_.get()) == 0) return {};
  return system_error("ledger: fsync " + path_ + "/segments", errno);
}

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
  if (lock.was_closed_) {
    if (const auto until = value_of(kUntil, text)) lock.closed_until_ = time_in(*until);
    lock.closed_booted_ = booted_in(text);
  }
  return lock;
}

Result<std::optional<pid_t>> LedgerLock::holder(const std::string& directory) {
  const std::string path = directory + "/LOCK";
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return std::optional<pid_t>();
  if (!fd) return system_error("ledger: open " + path, errno);
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return std::optional<pid_t>();
  if (errno != EWOULDBLOCK) return system_error("ledger: lock " + path, errno);
  std::array<char, kLength> bytes{};
  const ssize_t count = ::pread(fd.get(), bytes.data(), bytes.size(), 0);
  const std::string text = pid_in({bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0});
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return std::optional(pid);
}

bool LedgerLock::removed() const {
  return is_unlinked(fd_);
}

Result<void> LedgerLock::mark_held() {
  if (!was_closed_) return mark_open();
  return closed_until_ ? mark_closed(*closed_until_, closed_booted_) : mark("closed");
}

Result<void> LedgerLock::mark_closed(UnixMs until, const Booted& booted) {
  const auto ms = [](UnixMs time) { return std::to_string(time.time_since_epoch().count()); };
  std::string state = "closed" + std::string(kUntil) + ms(until);
  constexpr std::size_t kIdBytes = 36;  // of a UUID; what is longer has no room
  if (!booted.id.empty() && booted.id.size() <= kIdBytes)
    state += std::string(kBoot) + ms(booted.at) + " " + booted.id;
  return mark(state);
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
