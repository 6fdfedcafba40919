#include "identity/sources/lines_source.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>

#include "identity/sources/words.h"

namespace natsession {

LinesSource::LinesSource(std::string name) : name_(std::move(name)), buffer_(kMaxLine) {}

void LinesSource::follow(UniqueFd output) {
  pipe_ = std::move(output);
  const int flags = ::fcntl(pipe_.get(), F_GETFL);
  if (flags >= 0) (void)::fcntl(pipe_.get(), F_SETFL, flags | O_NONBLOCK);
  line_.clear();
  skips_line_ = false;
  lines_.begin();
}

void LinesSource::take(std::string_view bytes, UnixMs now, IdentityOutput& output) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (!skips_line_) line_ += bytes.substr(0, end);
    if (line_.size() > kMaxLine) {
      output.refused("a line of more than 64 KiB", line_);
      line_.clear();
      skips_line_ = true;
    }
    if (end == std::string_view::npos) return;
    if (!skips_line_) lines_.line(line_, now, output);
    line_.clear();
    skips_line_ = false;
    bytes.remove_prefix(end + 1);
  }
}

std::chrono::milliseconds LinesSource::turn(UnixMs now, IdentityOutput& output) {
  constexpr std::chrono::milliseconds kIdle{1000};
  constexpr int kMostReads = 16;
  if (!pipe_) return kIdle;
  for (int i = 0; i < kMostReads; ++i) {
    const ssize_t length = ::read(pipe_.get(), buffer_.data(), buffer_.size());
    if (length > 0) {
      take({buffer_.data(), static_cast<std::size_t>(length)}, now, output);
      continue;
    }
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == EAGAIN) {
      if (!lines_.tells_followed()) output.followed(now);
      return kIdle;
    }
    const std::string why = length == 0 ? "has ended" : std::strerror(errno);
    if (!line_.empty()) output.refused("a line without an end", line_);
    pipe_.reset();
    output.lost(name_ + ": the command " + why);
    return kIdle;
  }
  return std::chrono::milliseconds(0);
}

}  // namespace natsession
