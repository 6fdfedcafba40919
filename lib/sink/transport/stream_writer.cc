#include "sink/transport/stream_writer.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <unistd.h>

namespace natsession {
namespace {

// Large enough that a system call costs little for each record, small enough to stay in the cache.
constexpr std::size_t kChunkBytes = 128 << 10;
// A descriptor that does not block (a FIFO, a stdout that somebody else made so) is waited for so long at a
// time.
constexpr int kPatienceMs = 20;

}  // namespace

StreamWriter::StreamWriter(std::unique_ptr<Encoder> encoder) : encoder_(std::move(encoder)) {
  buffer_.reserve(2 * kChunkBytes);
}

void StreamWriter::begin(std::string_view prologue) {
  rest_ = prologue;
  rest_is_record_ = false;
}

StreamWriter::Written StreamWriter::write(int fd, std::span<const SessionRecord> records,
                                          std::uint64_t limit_bytes, bool first_always) {
  Written written;
  if (records.empty()) return written;
  const bool completes_one = rest_is_record_;
  written.error_number = write_rest(fd, written.bytes);
  if (written.error_number != 0) return written;
  written.taken = (completes_one ? 1 : 0) + std::exchange(ahead_, 0);

  for (bool may_pass = first_always; written.taken < records.size(); may_pass = false) {
    const std::uint64_t left = limit_bytes - std::min(limit_bytes, written.bytes);
    encode(records.subspan(written.taken), left, may_pass);
    if (ends_.empty()) break;  // the next one does not fit
    std::size_t out = 0;
    written.error_number = write_all(fd, buffer_, out);
    written.bytes += out;
    const auto torn = std::upper_bound(ends_.begin(), ends_.end(), out);
    const auto whole = static_cast<std::size_t>(torn - ends_.begin());
    written.taken += whole;
    if (written.error_number == 0) continue;
    const std::size_t begin = whole == 0 ? 0 : ends_[whole - 1];
    if (out > begin) {
      rest_.assign(buffer_, out, *torn - out);
      rest_is_record_ = true;
      under_way_ = out - begin;
    }
    break;
  }
  return written;
}

StreamWriter::Written StreamWriter::finish(int fd) {
  Written written;
  const bool completes_one = rest_is_record_;
  written.error_number = write_rest(fd, written.bytes);
  if (written.error_number == 0 && completes_one) ahead_ = 1;
  return written;
}

void StreamWriter::forget_record_under_way() {
  if (!rest_is_record_) return;
  rest_.clear();
  rest_is_record_ = false;
}

// Sets `out` to the number of bytes that went out; returns errno, or 0 if all did.
int StreamWriter::write_all(int fd, std::string_view text, std::size_t& out) {
  out = 0;
  while (out < text.size()) {
    const ssize_t count = ::write(fd, text.data() + out, text.size() - out);
    if (count >= 0) {
      out += static_cast<std::size_t>(count);
      continue;
    }
    const int error_number = errno;
    if (error_number == EINTR) continue;
    if (error_number != EAGAIN) return error_number;
    pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
    if (::poll(&wait, 1, kPatienceMs) == 0) return EAGAIN;
  }
  return 0;
}

int StreamWriter::write_rest(int fd, std::uint64_t& bytes) {
  if (rest_.empty()) return 0;
  std::size_t out = 0;
  const int error_number = write_all(fd, rest_, out);
  bytes += out;
  rest_.erase(0, out);
  under_way_ += out;
  if (rest_.empty()) rest_is_record_ = false;
  return error_number;
}

void StreamWriter::encode(std::span<const SessionRecord> records, std::uint64_t limit_bytes,
                          bool first_may_pass) {
  buffer_.clear();
  ends_.clear();
  encoder_->append_each(records, buffer_, [&] {
    const std::size_t before = ends_.empty() ? 0 : ends_.back();
    if (buffer_.size() > limit_bytes && !(first_may_pass && before == 0)) {
      buffer_.resize(before);
      return false;
    }
    ends_.push_back(buffer_.size());
    return buffer_.size() < kChunkBytes;
  });
}

}  // namespace natsession
