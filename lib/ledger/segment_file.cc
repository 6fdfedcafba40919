#include "ledger/segment_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/unlinked.h"

namespace natsession {
namespace {

constexpr std::size_t kSectorBytes = 4096;

}  // namespace

Result<std::shared_ptr<const SegmentFile>> SegmentFile::open(const LedgerDirectory& directory,
                                                             const SegmentName& name) {
  auto fd = directory.open_file(name.text(), O_RDONLY);
  if (!fd) return fd.error();
  return std::make_shared<const SegmentFile>(std::move(*fd), name, directory.path_of(name.text()));
}

Result<std::uint64_t> SegmentFile::size() const {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) return system_error("ledger: stat " + path_, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

bool SegmentFile::deleted() const {
  return is_unlinked(fd_);
}

Result<std::size_t> SegmentFile::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t at = offset + done;
    const ssize_t count = ::pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(at));
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count == 0) {
      break;
    } else if (errno == EIO && zeros_for_bad_.load(std::memory_order_relaxed)) {
      const std::size_t sector_left = kSectorBytes - at % kSectorBytes;
      const auto bad = out.subspan(done, std::min(sector_left, out.size() - done));
      std::fill(bad.begin(), bad.end(), std::byte{0});
      done += bad.size();
    } else if (errno != EINTR) {
      return system_error("ledger: read " + path_, errno);
    }
  }
  return done;
}

Result<SegmentHeader> SegmentFile::header() const {
  std::array<std::byte, kSegmentHeaderBytes> bytes;
  const auto count = read_at(0, bytes);
  if (!count) return count.error();
  return decode_segment_header(std::span(bytes).first(*count));
}

Result<SegmentTrailer> SegmentFile::trailer() const {
  const auto file_size = size();
  if (!file_size) return file_size.error();
  std::array<std::byte, kTrailerBytes> bytes;
  if (*file_size < kTrailerBytes) return Error{ErrorKind::kMalformed, "the trailer is cut off"};
  const auto count = read_at(*file_size - kTrailerBytes, bytes);
  if (!count) return count.error();
  return decode_trailer(std::span(bytes).first(*count), *file_size);
}

Result<std::vector<FramePlace>> SegmentFile::index(const SegmentTrailer& trailer) const {
  std::vector<std::byte> bytes(trailer.bounds.frames * kIndexEntryBytes);
  const auto count = read_at(trailer.index_offset, bytes);
  if (!count) return count.error();
  return decode_index(std::span(bytes).first(*count), trailer);
}

}  // namespace natsession
