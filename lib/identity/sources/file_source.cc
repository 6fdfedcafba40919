#include "identity/sources/file_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>

#include "identity/sources/words.h"

namespace natsession {
namespace {

constexpr std::size_t kReadAtOnce = std::size_t{64} * 1024;
constexpr std::chrono::milliseconds kTurn{20};
constexpr std::uint64_t kBlock = 4096;  // what a C library writes at once

std::optional<UnixMs> birth_of(int fd) {
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &status) != 0 || (status.stx_mask & STATX_BTIME) == 0)
    return std::nullopt;
  if (status.stx_btime.tv_sec <= 0) return std::nullopt;
  return UnixMs(std::chrono::seconds(status.stx_btime.tv_sec)) +
         std::chrono::milliseconds(status.stx_btime.tv_nsec / 1'000'000);
}

}  // namespace

FileSource::FileSource(std::string name, std::string path, std::unique_ptr<FileText> text, const Clock& clock)
    : name_(std::move(name)),
      path_(std::move(path)),
      text_(std::move(text)),
      clock_(clock),
      buffer_(kReadAtOnce) {}

Result<void> FileSource::open() {
  if (auto opened = watch_.open(); !opened) return opened;
  watch_.watch(path_);
  return {};
}

FileSource::State FileSource::state_of(const struct stat& status) {
  return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0)),
          std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

LineTime FileSource::time_in(const Part& part, UnixMs now) const {
  const UnixMs modified{std::chrono::milliseconds(part.state.modified_ns / 1'000'000)};
  const bool was_just_written = caught_up_ && clock_.steady() - caught_up_at_ <= 2 * kLook;
  return {now, std::min(now, modified), was_just_written};
}

// Told once as long as it stays so.
void FileSource::unavailable(int error_number, IdentityOutput& output) {
  std::string why = path_ + ": " +
                    (error_number == ENOENT    ? "it is not there; waiting for it"
                     : error_number == ENOTSUP ? "it is no file that can be followed"
                                               : std::string(std::strerror(error_number)));
  if (why == complaint_) return;
  complaint_ = std::move(why);
  output.lost(complaint_);
}

std::optional<FileSource::Part> FileSource::open_part(const std::string& path, IdentityOutput& output) {
  // O_NONBLOCK: whoever puts a FIFO there must not stop this.
  Part part{UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)), {}};
  struct stat status {};
  const bool is_main = path == path_;
  if (!part.fd || ::fstat(part.fd.get(), &status) != 0) {
    const int error_number = errno;
    if (is_main || error_number != ENOENT) unavailable(error_number, output);
    return std::nullopt;
  }
  if (!S_ISREG(status.st_mode)) {
    unavailable(ENOTSUP, output);
    return std::nullopt;
  }
  if (is_main) complaint_.clear();
  part.state = state_of(status);
  part.is_last = is_main;
  return part;
}

// Kea's: what still holds of the files before. Puts them before parts_.back(), which was opened first, so
// that nothing falls between where they are moved meanwhile.
void FileSource::open_remains(IdentityOutput& output) {
  std::vector<std::string> older;
  if (::access((path_ + ".completed").c_str(), F_OK) == 0) {
    older = {path_ + ".completed"};
  } else {
    older = {path_ + ".2", path_ + ".1"};
  }
  std::deque<Part> found;
  for (const std::string& path : older) {
    auto part = open_part(path, output);
    if (part && !part->state.is_same_file(parts_.back().state)) found.push_back(std::move(*part));
  }
  while (!found.empty()) {
    parts_.push_front(std::move(found.back()));
    found.pop_back();
  }
}

void FileSource::leave_line() {
  line_.clear();
  skips_line_ = false;
}

void FileSource::leave_whole() {
  in_whole_ = false;
  leave_line();
}

bool FileSource::begin_whole(IdentityOutput& output) {
  auto part = open_part(path_, output);
  if (!part) return false;
  leave_whole();
  parts_.clear();
  watch_.watch(path_);
  const FileHabit habit = text_->habit();
  read_state_ = part->state;
  read_at_ = clock_.steady();
  parts_.push_back(std::move(*part));
  if (habit == FileHabit::kMovedOn) open_remains(output);
  text_->begin();
  caught_up_ = false;
  in_whole_ = habit != FileHabit::kHistory;
  // What has been appended since the file was made is all that happened since then: told as followed from
  // there.
  if (habit != FileHabit::kRewritten && !told_whole_) {
    std::optional<UnixMs> birth;
    for (const Part& one : parts_) {
      // Of what still holds of older files alone nothing is known: .2 and .completed are no history.
      if (!one.is_last) continue;
      birth = birth_of(one.fd.get());
    }
    if (birth) output.followed(*birth);
  }
  if (in_whole_) output.begin_whole();
  return true;
}

// Reads no further in a file that is another one meanwhile, or cannot be read.
void FileSource::give_up() {
  parts_.clear();
  leave_whole();
  read_state_.reset();
}

bool FileSource::look_at_nothing(int error_number, IdentityOutput& output) {
  if (!parts_.empty() && error_number == ENOENT) {
    // Moved away: what was still written to it is read before it is let go.
    struct stat last {};
    if (::fstat(parts_.back().fd.get(), &last) == 0 && state_of(last).size > parts_.back().offset)
      return true;
  }
  // Between its going and the coming of the next one nothing is lost.
  const Steady steady = clock_.steady();
  const bool was_there = read_state_.has_value();
  if (absent_since_ == Steady{}) absent_since_ = steady;
  if (!was_there || steady - absent_since_ >= kPatience) unavailable(error_number, output);
  return false;
}

bool FileSource::look(UnixMs now, IdentityOutput& output) {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return look_at_nothing(errno, output);
  absent_since_ = {};
  const State found = state_of(status);
  if (text_->habit() == FileHabit::kRewritten) return look_at_rewritten(found, now, output);
  if (parts_.empty()) return begin_whole(output);
  return look_at_appended(found, now, output);
}

bool FileSource::look_at_rewritten(const State& found, UnixMs now, IdentityOutput& output) {
  const Steady steady = clock_.steady();
  if (!(found == seen_state_)) {
    const bool is_first = seen_state_ == State{};
    seen_state_ = found;
    changed_at_ = steady;
    // A file that nobody has touched for long needs no watching before it is read.
    const UnixMs modified{std::chrono::milliseconds(found.modified_ns / 1'000'000)};
    if (is_first && modified < now - kLongRest) changed_at_ -= kLongRest;
  }
  if (read_state_ && found == *read_state_) {
    restless_since_ = {};
    const auto change = text_->next_change();
    if (change && *change <= now) return begin_whole(output);
    if (told_whole_) output.followed(now);
    return false;
  }
  if (restless_since_ == Steady{}) restless_since_ = steady;
  const bool may_be_part = found.size % kBlock == 0;
  const bool at_rest = steady - changed_at_ >= (may_be_part ? kLongRest : kRest);
  // One that is large is not read all the time.
  if (at_rest && (read_at_ == Steady{} || steady - read_at_ >= 5 * read_for_)) return begin_whole(output);
  if (steady - restless_since_ >= 5 * kPatience && complaint_.empty()) {
    complaint_ = path_ + ": it changes all the time, so that it cannot be read as a whole";
    output.lost(complaint_);
  }
  return false;
}

bool FileSource::look_at_appended(const State& found, UnixMs now, IdentityOutput& output) {
  Part& last = parts_.back();
  const FileHabit habit = text_->habit();
  if (found.is_same_file(last.state)) {
    complaint_.clear();
    if (found.size < last.offset) {
      output.lost(path_ + " was shortened: what was written before that may not have been read");
      if (habit != FileHabit::kHistory) return begin_whole(output);
      last.offset = 0;
      leave_whole();
      text_->begin();
    }
    last.state = found;
    return found.size > last.offset;
  }
  struct stat status {};
  if (::fstat(last.fd.get(), &status) == 0 && state_of(status).size > last.offset)
    return true;  // the old one first
  auto part = open_part(path_, output);
  if (!part) return false;
  watch_.watch(path_);
  const bool goes_on =
      habit == FileHabit::kHistory ||
      (habit == FileHabit::kMovedOn &&
       (::access((path_ + ".1").c_str(), F_OK) == 0 || ::access((path_ + ".2").c_str(), F_OK) == 0 ||
        ::access((path_ + ".completed").c_str(), F_OK) == 0));
  if (!goes_on) return begin_whole(output);
  if (!line_.empty()) output.refused(path_ + ": it was moved away within a line", line_);
  text_->end(time_in(last, now), output);
  leave_whole();
  parts_.clear();
  parts_.push_back(std::move(*part));
  text_->begin();
  return true;
}

void FileSource::take(std::string_view bytes, const LineTime& time, std::uint64_t first,
                      IdentityOutput& output) {
  const std::uint64_t size = parts_.front().state.size;
  LineTime of_line = time;
  std::size_t begin = 0;
  while (begin < bytes.size()) {
    const std::size_t end = bytes.find('\n', begin);
    if (end == std::string_view::npos) break;
    std::string_view line = bytes.substr(begin, end - begin);
    begin = end + 1;
    if (skips_line_) {
      skips_line_ = false;
      line_.clear();
      continue;
    }
    of_line.exact = time.exact || (parts_.front().is_last && first + begin >= size);
    if (line_.empty()) {
      text_->line(line, of_line, output);
      continue;
    }
    line_ += line;
    if (line_.size() <= kMaxLine) {
      text_->line(line_, of_line, output);
    } else {
      output.refused(path_ + ": a line of more than 64 KiB", line_);
    }
    line_.clear();
  }
  if (skips_line_) return;
  line_ += bytes.substr(begin);
  if (line_.size() <= kMaxLine) return;
  output.refused(path_ + ": a line of more than 64 KiB", line_);
  line_.clear();
  skips_line_ = true;
}

FileSource::Step FileSource::read_part(UnixMs now, IdentityOutput& output) {
  Part& part = parts_.front();
  const ssize_t length =
      ::pread(part.fd.get(), buffer_.data(), buffer_.size(), static_cast<off_t>(part.offset));
  if (length < 0 && errno == EINTR) return Step::kMore;
  struct stat status {};
  if (length < 0 || ::fstat(part.fd.get(), &status) != 0) {
    unavailable(errno, output);
    give_up();
    return Step::kDone;
  }
  if (text_->habit() != FileHabit::kRewritten) {
    part.state = state_of(status);
  } else if (!(state_of(status) == part.state)) {
    // Half of the old text and half of the new would be nobody's words.
    give_up();
    return Step::kDone;
  }
  if (length == 0) return end_part(now, output);
  const LineTime time = time_in(part, now);
  const std::uint64_t first = part.offset;
  part.offset += static_cast<std::uint64_t>(length);
  take({buffer_.data(), static_cast<std::size_t>(length)}, time, first, output);
  return Step::kMore;
}

// The end of what there is of a part.
FileSource::Step FileSource::end_part(UnixMs now, IdentityOutput& output) {
  Part& part = parts_.front();
  const LineTime time = time_in(part, now);
  if (text_->habit() != FileHabit::kRewritten) {
    if (!part.is_last) {
      leave_line();
      parts_.pop_front();
      text_->begin();
      return Step::kMore;
    }
    text_->caught_up(time, output);
    if (std::exchange(in_whole_, false)) output.end_whole(now);
    caught_up_ = told_whole_ = true;
    caught_up_at_ = clock_.steady();
    return Step::kDone;
  }
  const bool is_open = !line_.empty() || skips_line_;
  const bool is_whole = !is_open || (text_->last_line_may_be_open() && !skips_line_);
  if (is_open && is_whole) text_->line(std::exchange(line_, {}), time, output);
  if (!is_whole) output.refused(path_ + ": its last line has no end", line_);
  if (is_whole && text_->wants_another_pass()) {
    part.offset = 0;
    leave_line();
    text_->begin();
    return Step::kMore;
  }
  text_->end(time, output);
  // One that ends within a line is as it is until it changes: nothing ends by it.
  if (is_whole) {
    output.end_whole(time.written);
    told_whole_ = true;
    complaint_.clear();
  } else {
    told_whole_ = false;
  }
  read_for_ = clock_.steady() - read_at_;
  leave_whole();
  parts_.clear();
  return Step::kDone;
}

std::chrono::milliseconds FileSource::turn(UnixMs now, IdentityOutput& output) {
  watch_.drain();
  const Steady until = clock_.steady() + kTurn;
  const bool is_rewritten = text_->habit() == FileHabit::kRewritten;
  do {
    const bool reads = in_whole_ || (is_rewritten && !parts_.empty());
    if (!reads && !look(now, output)) {
      if (absent_since_ != Steady{}) return kLook;
      if (is_rewritten) return read_state_ && seen_state_ == *read_state_ ? kLook : kRest;
      // All that there was has been read.
      if (!parts_.empty() && complaint_.empty() && caught_up_) {
        caught_up_at_ = clock_.steady();
        output.followed(now);
      }
      return kLook;
    }
    while (clock_.steady() < until) {
      if (read_part(now, output) == Step::kDone) break;
    }
  } while (clock_.steady() < until);
  return std::chrono::milliseconds(0);
}

}  // namespace natsession
