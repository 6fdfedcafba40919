#include "sink/local/rotated_files.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

namespace natsession {
namespace {

constexpr std::string_view kStampPattern =
    "dddddddd.dddddd.";  // what a stamp's characters are: 20261121T143422Z

// What stands between PATH and the suffix of a compressed file: its order is the order of the files.
struct Turn {
  std::string stamp;
  std::uint64_t number = 0;
  friend auto operator<=>(const Turn&, const Turn&) = default;
};

bool is_stamp(std::string_view text) {
  if (text.size() != kStampPattern.size() || text[8] != 'T' || text[15] != 'Z') return false;
  return std::equal(text.begin(), text.end(), kStampPattern.begin(),
                    [](char have, char want) { return want != 'd' || (have >= '0' && have <= '9'); });
}

std::optional<Turn> parse_turn(std::string_view text) {
  const std::string_view stamp = text.substr(0, kStampPattern.size());
  if (!is_stamp(stamp)) return std::nullopt;
  Turn turn{std::string(stamp), 0};
  text.remove_prefix(stamp.size());
  if (text.empty()) return turn;
  if (text.size() < 2 || text[0] != '.' || text[1] == '0') return std::nullopt;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + 1, end, turn.number);
  if (error != std::errc() || rest != end) return std::nullopt;
  return turn;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

std::string stamp_of(UnixNs now) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts)};
}

std::string path_of(const std::string& path, const Turn& turn) {
  return path + "." + turn.stamp + (turn.number == 0 ? "" : "." + std::to_string(turn.number));
}

Result<std::map<Turn, RotatedFile>> find_all(const std::string& path) {
  const std::filesystem::path file(path);
  const std::string prefix = file.filename().string() + ".";
  const std::filesystem::path directory = file.has_parent_path() ? file.parent_path() : ".";
  std::map<Turn, RotatedFile> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::string_view rest = std::string_view(name).substr(prefix.size());
    const bool gzip = take_suffix(rest, ".gz");
    const bool zstd = !gzip && take_suffix(rest, ".zst");
    const std::optional<Turn> turn = parse_turn(rest);
    if (!turn) continue;
    RotatedFile& one = found[*turn];
    one.path = path_of(path, *turn);
    one.gzip = one.gzip || gzip;
    one.zstd = one.zstd || zstd;
    one.plain = one.plain || (!gzip && !zstd);
  }
  if (error) return system_error("read the directory " + directory.string(), error.value());
  return found;
}

// The forwarding path and the log come first.
constexpr int kNice = 10;

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove " + path, errno);
  return {};
}

Result<void> remove_all(const RotatedFile& file) {
  Result<void> removed;
  if (file.plain) removed = remove_file(file.path);
  if (removed && file.gzip) removed = remove_file(file.path + std::string(suffix_of(Compression::kGzip)));
  if (removed && file.zstd) removed = remove_file(file.path + std::string(suffix_of(Compression::kZstd)));
  return removed;
}

constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;

std::string directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Error open_error(const std::string& path, int error_number) {
  const std::string operation = "open " + path;
  switch (error_number) {
    case ENOENT:
      if (!is_directory(directory_of(path))) {
        return {ErrorKind::kUsage, operation + ": the directory " + directory_of(path) + " does not exist"};
      }
      return system_error(operation, error_number, ErrorKind::kUsage);
    case EISDIR:
      return {ErrorKind::kUsage, operation + ": it is a directory: name a file in it"};
    case ENXIO:
      return {ErrorKind::kUsage, operation + ": it is a socket or a device without a driver: name a file"};
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return system_error(operation, error_number, ErrorKind::kUsage);
    case EROFS:
      return system_error(operation, error_number, ErrorKind::kPermission);
    default:
      return system_error(operation, error_number);
  }
}

// A FIFO can be opened for writing alone, without waiting, only while it has a reader. So for a moment it
// gets one.
UniqueFd open_fifo(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), kFlags | O_NONBLOCK));
  if (fd || errno != ENXIO) return fd;
  const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  return UniqueFd(::open(path.c_str(), kFlags | O_NONBLOCK));
}

bool ends_in_newline(const std::string& path, std::uint64_t size) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  char last = '\n';
  // A file that may not be read is taken for whole.
  return !fd || pread(fd.get(), &last, 1, static_cast<off_t>(size) - 1) != 1 || last == '\n';
}

}  // namespace

Result<std::vector<RotatedFile>> list_rotated(const std::string& path) {
  auto found = find_all(path);
  if (!found) return found.error();
  std::vector<RotatedFile> files;
  for (auto& [turn, file] : *found) files.push_back(std::move(file));
  return files;
}

Result<std::string> name_rotated(const std::string& path, UnixNs now) {
  const auto found = find_all(path);
  if (!found) return found.error();
  Turn turn{stamp_of(now), 0};
  for (const auto& [other, file] : *found) {
    if (other.stamp == turn.stamp) turn.number = other.number + 1;
  }
  return path_of(path, turn);
}

bool begins_with(const std::string& path, std::string_view text) {
  if (text.empty()) return true;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  std::string found(text.size(), '\0');
  const ssize_t count = fd ? pread(fd.get(), found.data(), found.size(), 0) : -1;
  return count < 0 || std::string_view(found).substr(0, static_cast<std::size_t>(count)) == text;
}

Housekeeper::Housekeeper(std::string path, Compression compression, std::size_t keep)
    : path_(std::move(path)), compression_(compression), keep_(keep) {}

Housekeeper::~Housekeeper() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_at_ = std::chrono::steady_clock::now() + kStopLimit;
  }
  wake_.notify_one();
  thread_.join();
}

Result<void> Housekeeper::start() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // the new thread inherits it: signals are not for it
  Result<void> started;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    started = system_error("start a thread for rotated files", error.code().value(), ErrorKind::kUnavailable);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

void Housekeeper::look() {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
  }
  wake_.notify_one();
}

std::string Housekeeper::take_problem() {
  if (!has_problem_.exchange(false, std::memory_order_acq_rel)) return {};
  return problem_.with([](std::string& problem) { return std::exchange(problem, {}); });
}

void Housekeeper::run() {
  pthread_setname_np(pthread_self(), "rotated-files");
  setpriority(PRIO_PROCESS, 0, kNice);  // on Linux this is the calling thread's
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return wanted_ || stopping_; });
    if (!wanted_) return;
    wanted_ = false;
    lock.unlock();
    tidy();
    lock.lock();
  }
}

// One look: the oldest beyond `keep` go, the rest is compressed, the oldest first.
void Housekeeper::tidy() {
  const auto found = [this] {
    const std::lock_guard lock(looking_);
    return list_rotated(path_);
  }();
  if (!found) {
    put_problem(found.error().message);
    return;
  }
  const std::size_t surplus = keep_ > 0 && found->size() > keep_ ? found->size() - keep_ : 0;
  for (std::size_t i = 0; i < found->size(); ++i) {
    if (stop_now()) return;
    const RotatedFile& file = (*found)[i];
    Result<void> done;
    if (i < surplus) {
      done = remove_all(file);
    } else if (file.plain && compression_ != Compression::kNone) {
      done = compress_file(file.path, compression_);
    }
    if (!done) put_problem(done.error().message);
  }
}

bool Housekeeper::stop_now() {
  const std::lock_guard lock(mutex_);
  return stopping_ && std::chrono::steady_clock::now() >= stop_at_;
}

void Housekeeper::put_problem(const std::string& problem) {
  problem_.with([&](std::string& last) { last = problem; });
  has_problem_.store(true, std::memory_order_release);
}

// Without a mode a file that is not there is not made.
Result<LogFile> LogFile::open_as(const std::string& path, std::optional<mode_t> mode_to_make) {
  struct stat status {};
  const bool fifo = stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
  const int flags = mode_to_make ? kFlags | O_CREAT : kFlags;
  LogFile file;
  file.fd = fifo ? open_fifo(path) : UniqueFd(::open(path.c_str(), flags, mode_to_make.value_or(0)));
  if (!file.fd) return open_error(path, errno);
  if (fstat(file.fd.get(), &status) != 0) return open_error(path, errno);
  if (S_ISBLK(status.st_mode)) {
    return Error{ErrorKind::kUsage,
                 "open " + path + ": it is a disk, which a log would overwrite: name a file"};
  }
  file.regular = S_ISREG(status.st_mode);
  file.device = status.st_dev;
  file.inode = status.st_ino;
  if (!file.regular) return file;
  file.size = static_cast<std::uint64_t>(status.st_size);
  file.torn = file.size > 0 && !ends_in_newline(path, file.size);
  file.last_written =
      UnixNs(std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec));
  return file;
}

Result<void> LogFile::probe(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0) {
    const auto file = open_as(path, std::nullopt);
    if (!file) return file.error();
    return {};
  }
  if (errno != ENOENT) return open_error(path, errno);
  const std::string directory = directory_of(path);
  if (!is_directory(directory)) return open_error(path, ENOENT);
  if (faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) != 0) return open_error(path, errno);
  return {};
}

}  // namespace natsession
