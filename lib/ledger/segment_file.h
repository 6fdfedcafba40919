// SegmentFile: a segment's file, read by offset. It stays readable for as long as the object lives, also when
// the file is deleted or renamed meanwhile. Nothing is mapped: a file that is cut under a mapping would end
// the process.
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "ledger/ledger_directory.h"
#include "ledger/segment_format.h"

namespace natsession {

class SegmentFile {
 public:
  // Errors: as LedgerDirectory::open_file().
  [[nodiscard]] static Result<std::shared_ptr<const SegmentFile>> open(const LedgerDirectory& directory,
                                                                       const SegmentName& name);
  SegmentFile(UniqueFd fd, SegmentName name, std::string path)
      : fd_(std::move(fd)), name_(name), path_(std::move(path)) {}

  [[nodiscard]] const SegmentName& name() const { return name_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] Result<std::uint64_t> size() const;
  // Returns how many bytes were read: fewer than asked for only at the end of the file.
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) const;
  // Sectors that the disk cannot read are zeros from now on: damage like any other, and no error.
  void read_bad_sectors_as_zeros() const { zeros_for_bad_.store(true, std::memory_order_relaxed); }

  // Nobody will find it again: it was deleted, or replaced by its sealed form.
  [[nodiscard]] bool deleted() const;

  // Errors: as decode_segment_header().
  [[nodiscard]] Result<SegmentHeader> header() const;
  // Of a sealed segment.
  // Errors: as decode_trailer().
  [[nodiscard]] Result<SegmentTrailer> trailer() const;
  [[nodiscard]] Result<std::vector<FramePlace>> index(const SegmentTrailer& trailer) const;

 private:
  UniqueFd fd_;
  SegmentName name_;
  std::string path_;
  mutable std::atomic<bool> zeros_for_bad_ = false;
};

}  // namespace natsession
