// SegmentAppender: the segment that is being written. What is appended is there as a whole or not at all.
// Threads: one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "ledger/ledger_directory.h"
#include "ledger/segment_file.h"

namespace natsession {

class SegmentAppender {
 public:
  // Makes a segment that begins as `header` says. `flush`: it, and its name, are on the disk.
  // Errors: kPermission, kIo; nothing is left behind.
  [[nodiscard]] static Result<SegmentAppender> make(const LedgerDirectory& directory,
                                                    const SegmentHeader& header, bool flush);
  // Goes on with an open segment whose frames end at `size`: what stands behind is cut.
  // Errors: kPermission, kIo.
  [[nodiscard]] static Result<SegmentAppender> reopen(const LedgerDirectory& directory,
                                                      const SegmentName& name, UnixMs created,
                                                      std::uint64_t size);

  // `flush`: the bytes are on the disk, and so is what was appended before.
  // Errors: kIo, with the cause; the segment is as it was before.
  [[nodiscard]] Result<void> append(std::string_view bytes, bool flush);
  // A kernel that could not write a page tells so once, and takes it for written then. So after an error what
  // is not known to be on the disk is written once more, from what can be read of it.
  // Errors: kIo.
  [[nodiscard]] Result<void> flush();
  // The last write or flush failed, and not for want of room: another file may do better.
  [[nodiscard]] bool failed() const { return failed_; }

  [[nodiscard]] Ordinal first() const { return name_.first; }
  [[nodiscard]] UnixMs created() const { return created_; }
  [[nodiscard]] std::uint64_t bytes() const { return size_; }
  [[nodiscard]] bool has_frames() const;
  // Somebody deleted the file: what is written to it, nobody can ever read.
  [[nodiscard]] bool deleted() const;

 private:
  SegmentAppender(UniqueFd fd, SegmentName name, std::string path)
      : fd_(std::move(fd)), name_(name), path_(std::move(path)) {}
  [[nodiscard]] Result<void> cut();
  Result<void> write(std::string_view bytes, std::uint64_t offset);
  Result<void> write_again();
  Error fail(const char* operation, int error_number);

  UniqueFd fd_;
  SegmentName name_;
  std::string path_;
  UnixMs created_;
  std::uint64_t size_ = 0;
  std::uint64_t flushed_ = 0;  // bytes below are on the disk
  bool torn_ = false;          // there may be bytes behind size_
  bool doubtful_ = false;      // bytes from flushed_ on may not be on the disk though the kernel thinks so
  bool failed_ = false;
};

}  // namespace natsession
