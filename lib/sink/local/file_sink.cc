#include "sink/local/file_sink.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {
namespace {

constexpr std::chrono::seconds kLookAgain{1};
constexpr std::chrono::seconds kRotateAgain{10};

// Where rotated files lie: with the file itself, behind symbolic links.
Result<void> check_rotation(const std::string& path, const std::string& real_path) {
  std::string folder = std::filesystem::path(real_path).parent_path();
  if (folder.empty()) folder = ".";
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return {};
  return system_error("rotate " + path + " in " + folder, errno);
}

Error not_regular(const std::string& path) {
  return {ErrorKind::kUsage, "open " + path + ": it is no regular file, and only those are rotated"};
}

std::span<const Option<FileSettings>> file_options() {
  const auto parse_mode = [](std::string_view text) -> Result<mode_t> {
    mode_t mode = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
    if (error == std::errc() && rest == text.data() + text.size() && mode <= 0777) return mode;
    return Error{ErrorKind::kUsage,
                 "'" + std::string(text) + "' is not a file mode: octal digits such as 0640"};
  };
  const auto mode_text = [](mode_t mode) {
    std::array<char, 8> digits{'0'};
    return std::string(digits.data(), std::to_chars(digits.data() + 1, digits.end(), mode, 8).ptr);
  };
  static const Option<FileSettings> kTable[] = {
      {"rotate_size", "SIZE",
       "rotate before the file grows beyond SIZE, such as 100M: PATH becomes PATH.20261121T143422Z",
       size_option(&FileSettings::rotate_size, {.least = {1 << 10}})},
      {"rotate_time", "TIME", "rotate when the clock, in UTC, passes a multiple of TIME, such as 1h or 1d",
       time_option(&FileSettings::rotate_time, {std::chrono::seconds(1), std::chrono::days(366)})},
      {"compress", "gzip|zstd|none", "compress rotated files, in the background",
       choice_option(&FileSettings::compress, Names<Compression>{{"gzip", Compression::kGzip},
                                                                 {"zstd", Compression::kZstd},
                                                                 {"none", Compression::kNone}})},
      {"keep", "N", "keep the N newest rotated files and remove the others; 0 keeps all",
       number_option(&FileSettings::keep, Range<std::size_t>{})},
      {"mode", "OCTAL", "permissions of a new file, less the umask",
       parsed_option(&FileSettings::mode, parse_mode, mode_text)},
  };
  return kTable;
}

Result<SinkOpener> parse_file(const SinkUrl& url) {
  FileSettings settings;
  settings.path = url.target;
  if (settings.path.empty()) return url.wrong("a path is missing: file:PATH, such as file:/var/log/nat.json");
  if (auto read = read_options(url, file_options(), settings); !read) return read.error();
  for (const SinkUrl::Option& option : url.options) {
    if ((option.key == "compress" || option.key == "keep") && !settings.rotates()) {
      return url.wrong(option, "is about rotated files: give rotate_size or rotate_time too");
    }
  }
  const auto open = [name = url.name(), settings](const EncoderOptions& encoder, const Clock& clock) {
    return FileSink::open(name, settings, make_encoder(encoder), clock);
  };
  return SinkOpener{.probe = [settings] { return FileSink::probe(settings); }, .open = open};
}

}  // namespace

SinkKind file_kind() {
  return {.scheme = "file",
          .usage = "file:PATH",
          .help = "lines appended to a file; SIGHUP reopens it",
          .options = explain(file_options()),
          .blocks = true,
          .flows = true,
          .parse = parse_file};
}

Result<std::unique_ptr<Sink>> FileSink::open(std::string name, const FileSettings& settings,
                                             std::unique_ptr<Encoder> encoder, const Clock& clock) {
  auto file = LogFile::open(settings.path, settings.mode);
  if (!file) return file.error();
  if (settings.rotates() && !file->regular) return not_regular(settings.path);
  std::unique_ptr<FileSink> sink(new FileSink(std::move(name), settings, std::move(encoder), clock));
  sink->start_in(std::move(*file));
  if (settings.rotates()) {
    std::error_code error;
    sink->real_path_ = std::filesystem::canonical(settings.path, error).string();
    if (error) return system_error("resolve " + settings.path, error.value());
    if (auto may = check_rotation(settings.path, sink->real_path_); !may) return may.error();
  }
  if (settings.compress != Compression::kNone || settings.keep > 0) {
    sink->housekeeper_ = std::make_unique<Housekeeper>(sink->real_path_, settings.compress, settings.keep);
    if (auto started = sink->housekeeper_->start(); !started) return started.error();
  }
  return std::unique_ptr<Sink>(std::move(sink));
}

Result<void> FileSink::probe(const FileSettings& settings) {
  if (auto probed = LogFile::probe(settings.path); !probed) return probed;
  if (!settings.rotates()) return {};
  struct stat status {};
  if (stat(settings.path.c_str(), &status) != 0) return {};  // it is made in a folder that can be written
  if (!S_ISREG(status.st_mode)) return not_regular(settings.path);
  std::error_code error;
  const std::string real_path = std::filesystem::canonical(settings.path, error).string();
  if (error) return system_error("resolve " + settings.path, error.value());
  return check_rotation(settings.path, real_path);
}

FileSink::FileSink(std::string name, const FileSettings& settings, std::unique_ptr<Encoder> encoder,
                   const Clock& clock)
    : name_(std::move(name)), settings_(settings), clock_(clock), writer_(std::move(encoder)) {}

FileSink::~FileSink() {
  leave_whole_lines();
}

Answer FileSink::deliver(std::span<const SessionRecord> records) {
  if (auto mended = mend(); !mended) return Answer::retry_later(0, mended.error().message);
  rotate_if_period_is_over();
  std::size_t taken = 0;
  while (true) {
    // A record that alone is larger than the limit gets a file for itself.
    const StreamWriter::Written written =
        writer_.write(file_.fd.get(), records.subspan(taken), room(), /*first_always=*/!has_records());
    taken += written.taken;
    file_.size += written.bytes;
    if (written.error_number != 0) {
      return Answer::retry_later(taken, system_error(operation(), written.error_number).message);
    }
    if (taken == records.size()) break;
    rotate();  // on failure room() has no limit for a while
  }
  Answer answer = Answer::delivered(taken);
  answer.why = take_notice();
  return answer;
}

Result<void> FileSink::reopen() {
  auto file = LogFile::open(settings_.path, settings_.mode);
  if (!file) return file.error();
  if (settings_.rotates() && !file->regular) return not_regular(settings_.path);
  if (file->same_as(file_)) return {};
  leave_whole_lines();
  start_in(std::move(*file));
  return {};
}

Result<void> FileSink::flush() {
  if (auto mended = mend(); !mended) return mended;
  rotate_if_period_is_over();
  const StreamWriter::Written written = writer_.finish(file_.fd.get());
  file_.size += written.bytes;
  if (written.error_number != 0) return system_error(operation(), written.error_number);
  if (std::string problem = take_notice(); !problem.empty()) return Error{ErrorKind::kIo, std::move(problem)};
  return {};
}

std::int64_t FileSink::period_of(UnixNs time) const {
  if (settings_.rotate_time.count() == 0) return 0;
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch() / settings_.rotate_time;
}

// The old descriptor is closed here, when the new one is open already.
void FileSink::start_in(LogFile file) {
  file_ = std::move(file);
  period_ = period_of(file_.size > 0 ? file_.last_written : clock_.now());
  other_header_ = file_.size > 0 && !begins_with(settings_.path, writer_.header());
  writer_.begin(file_.size == 0 ? writer_.header()
                : file_.torn    ? std::string_view("\n")
                                : std::string_view());
}

// Before the file is left: a record that is partly out is completed, or else its part is taken away again,
// and it will be written as a whole where the log goes on.
void FileSink::leave_whole_lines() {
  if (!writer_.record_under_way()) return;
  const StreamWriter::Written written = writer_.finish(file_.fd.get());
  if (written.error_number == 0) return;
  struct stat status {};
  const auto part = static_cast<off_t>(writer_.bytes_under_way());
  if (!file_.regular || fstat(file_.fd.get(), &status) != 0 || status.st_size < part ||
      ftruncate(file_.fd.get(), status.st_size - part) != 0) {
    notice(operation() + ": the last line of the file that was left is not whole");
  }
  writer_.forget_record_under_way();
}

// Errors: records cannot go on in this file.
Result<void> FileSink::mend() {
  mend_if_truncated();
  mend_if_deleted();
  while (other_header_) {
    if (auto left = leave_other_header(); !left) return left;
  }
  return {};
}

// Somebody took away what the file held, and perhaps has a copy: what comes next begins it anew.
void FileSink::mend_if_truncated() {
  struct stat status {};
  if (!file_.regular || fstat(file_.fd.get(), &status) != 0) return;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size >= file_.size) return;
  file_.size = size;
  writer_.forget_record_under_way();
  auto file = LogFile::open(settings_.path, settings_.mode);
  if (file) {
    start_in(std::move(*file));
  } else {
    notice(settings_.path + " was truncated, and cannot be opened again: " + file.error().message);
  }
}

Result<void> FileSink::leave_other_header() {
  std::error_code error;
  const std::string path = std::filesystem::canonical(settings_.path, error).string();
  struct stat status {};
  const bool still_there = !error && stat(path.c_str(), &status) == 0 && status.st_dev == file_.device &&
                           status.st_ino == file_.inode;
  if (!still_there) return reopen();
  const auto away = name_rotated(path + ".other-header", clock_.now());
  const int failure = !away ? 0 : ::rename(path.c_str(), away->c_str()) != 0 ? errno : 0;
  if (!away || failure != 0) {
    const std::string why = !away ? away.error().message : system_error("rename it", failure).message;
    return Error{ErrorKind::kIo,
                 settings_.path + " begins with another header, of other fields: move it away, or log to " +
                     "another file; " + why};
  }
  auto file = LogFile::open(settings_.path, settings_.mode);
  if (!file) {
    ::rename(away->c_str(), path.c_str());
    return file.error();
  }
  start_in(std::move(*file));
  notice(settings_.path + " began with another header, of other fields: it is " + *away + " now");
  return {};
}

// Somebody removed the file. What would be written to it now, nobody could ever read.
void FileSink::mend_if_deleted() {
  if (!file_.regular || clock_.steady() < look_again_at_) return;
  look_again_at_ = clock_.steady() + kLookAgain;
  struct stat status {};
  if (fstat(file_.fd.get(), &status) != 0 || status.st_nlink > 0) return;
  auto file = LogFile::open(settings_.path, settings_.mode);
  if (!file) {
    notice(settings_.path + " was removed, and cannot be made again: " + file.error().message);
    return;
  }
  writer_.forget_record_under_way();
  start_in(std::move(*file));
  notice(settings_.path + " was removed, and has been made again");
}

void FileSink::rotate_if_period_is_over() {
  if (settings_.rotate_time.count() == 0) return;
  const std::int64_t now = period_of(clock_.now());
  if (now == period_) return;
  if (!has_records()) {
    period_ = now;
    return;
  }
  rotate();
}

// False, and the present file goes on, if it could not be; then it is tried again after a while.
bool FileSink::rotate() {
  if (writer_.record_under_way() || clock_.steady() < rotate_again_at_) return false;
  const Result<void> rotated = try_rotate();
  if (rotated) return true;
  rotate_again_at_ = clock_.steady() + kRotateAgain;
  notice("rotate " + settings_.path + ": " + rotated.error().message);
  return false;
}

Result<void> FileSink::try_rotate() {
  // If PATH is another file by now, somebody else has rotated: then that one is gone on with.
  struct stat status {};
  const bool still_there =
      stat(real_path_.c_str(), &status) == 0 && status.st_dev == file_.device && status.st_ino == file_.inode;
  if (!still_there) return reopen();

  std::unique_lock<std::mutex> undisturbed;
  if (housekeeper_ != nullptr) undisturbed = housekeeper_->hold();
  const auto rotated = name_rotated(real_path_, clock_.now());
  if (!rotated) return rotated.error();
  if (::rename(real_path_.c_str(), rotated->c_str()) != 0) {
    return system_error("rename " + real_path_ + " to " + *rotated, errno);
  }
  auto file = LogFile::open(settings_.path, settings_.mode);
  if (!file) {
    ::rename(rotated->c_str(), real_path_.c_str());
    return file.error();
  }
  start_in(std::move(*file));
  if (housekeeper_ != nullptr) {
    undisturbed.unlock();
    housekeeper_->look();
  }
  return {};
}

std::uint64_t FileSink::room() const {
  if (settings_.rotate_size.bytes == 0 || clock_.steady() < rotate_again_at_) return StreamWriter::kNoLimit;
  return settings_.rotate_size.bytes - std::min(settings_.rotate_size.bytes, file_.size);
}

std::string FileSink::take_notice() {
  std::string text;
  text.swap(notice_);
  if (housekeeper_ != nullptr && text.empty()) text = housekeeper_->take_problem();
  return text;
}

}  // namespace natsession
