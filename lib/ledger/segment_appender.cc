#include "ledger/segment_appender.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"

namespace natsession {

Result<SegmentAppender> SegmentAppender::make(const LedgerDirectory& directory, const SegmentHeader& header,
                                              bool flush) {
  const SegmentName name{header.first, false};
  auto fd = directory.open_file(name.text(), O_RDWR | O_CREAT | O_EXCL);
  if (!fd) return fd.error();
  SegmentAppender segment(std::move(*fd), name, directory.path_of(name.text()));
  segment.created_ = header.created;
  const auto bytes = encode_segment_header(header);
  auto done = segment.append({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, flush);
  if (done && flush) done = directory.sync();
  if (done) return segment;
  static_cast<void>(directory.remove(name.text()));
  return done.error();
}

Result<SegmentAppender> SegmentAppender::reopen(const LedgerDirectory& directory, const SegmentName& name,
                                                UnixMs created, std::uint64_t size) {
  auto fd = directory.open_file(name.text(), O_RDWR);
  if (!fd) return fd.error();
  SegmentAppender segment(std::move(*fd), name, directory.path_of(name.text()));
  segment.created_ = created;
  segment.size_ = segment.flushed_ = size;
  if (auto done = segment.cut(); !done) return done.error();
  return segment;
}

Result<void> SegmentAppender::append(std::string_view bytes, bool flush) {
  if (torn_) {
    if (auto done = cut(); !done) return done;
  }
  torn_ = true;
  Result<void> result = write(bytes, size_);
  if (result && flush) result = this->flush();
  if (!result) {
    static_cast<void>(cut());  // else before the next attempt
    return result;
  }
  size_ += bytes.size();
  if (flush) flushed_ = size_;
  torn_ = false;
  return {};
}

Result<void> SegmentAppender::write(std::string_view bytes, std::uint64_t offset) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t count =
        ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail("write", count < 0 ? errno : ENOSPC);
    done += static_cast<std::size_t>(count);
  }
  return {};
}

Result<void> SegmentAppender::flush() {
  if (doubtful_) {
    if (auto written = write_again(); !written) return written;
  }
  if (::fdatasync(fd_.get()) != 0) {
    doubtful_ = true;
    return fail("fdatasync", errno);
  }
  flushed_ = size_;
  doubtful_ = failed_ = false;
  return {};
}

Result<void> SegmentAppender::write_again() {
  std::string part(std::size_t{1} << 20, '\0');
  for (std::uint64_t at = flushed_; at < size_;) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), size_ - at));
    const ssize_t count = ::pread(fd_.get(), part.data(), wanted, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail("read", count < 0 ? errno : EIO);
    const std::string_view read(part.data(), static_cast<std::size_t>(count));
    if (auto written = write(read, at); !written) return written;
    at += read.size();
  }
  return {};
}

Error SegmentAppender::fail(const char* operation, int error_number) {
  failed_ = error_number != ENOSPC && error_number != EDQUOT;
  return system_error(operation, error_number);
}

Result<void> SegmentAppender::cut() {
  if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) return system_error("truncate", errno);
  torn_ = false;
  return {};
}

bool SegmentAppender::has_frames() const {
  return size_ > kSegmentHeaderBytes;
}

bool SegmentAppender::deleted() const {
  return is_unlinked(fd_);
}

}  // namespace natsession
