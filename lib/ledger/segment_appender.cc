#include "ledger/segment_appender.h"

#include <sys/stat.h>

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "ledger/segment_format.h"

namespace natsession {

Result<SegmentAppender> SegmentAppender::make(const LedgerDirectory& directory, Ordinal first, UnixMs now,
                                              bool flush) {
  const SegmentName name{first, false};
  auto fd = directory.open_file(name.text(), O_RDWR | O_CREAT | O_EXCL);
  if (!fd) return fd.error();
  SegmentAppender segment(std::move(*fd), name, directory.path_of(name.text()));
  segment.created_ = now;
  const auto header = encode_segment_header({first, now});
  auto done = segment.append({reinterpret_cast<const char*>(header.data()), header.size()}, flush);
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
  segment.size_ = size;
  if (auto done = segment.cut(); !done) return done.error();
  return segment;
}

Result<void> SegmentAppender::append(std::string_view bytes, bool flush) {
  if (torn_) {
    if (auto done = cut(); !done) return done;
  }
  torn_ = true;
  int cause = 0;
  for (std::size_t done = 0; done < bytes.size() && cause == 0;) {
    const ssize_t count =
        ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(size_ + done));
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count == 0) {
      cause = ENOSPC;
    } else if (errno != EINTR) {
      cause = errno;
    }
  }
  Result<void> result;
  if (cause != 0) {
    result = system_error("write", cause);
  } else if (flush) {
    result = this->flush();
  }
  if (!result) {
    static_cast<void>(cut());  // else before the next attempt
    return result;
  }
  size_ += bytes.size();
  torn_ = false;
  return {};
}

Result<void> SegmentAppender::flush() {
  if (::fdatasync(fd_.get()) == 0) return {};
  return system_error("fdatasync", errno);
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
  struct stat status {};
  return ::fstat(fd_.get(), &status) == 0 && status.st_nlink == 0;
}

}  // namespace natsession
