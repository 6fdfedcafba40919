// A segment: its file, and the bytes around its frames.
// Threads: plain functions and value types; a SegmentFile any.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "ledger/frame.h"
#include "ledger/ledger_directory.h"
#include "ledger/peer_dictionary.h"

namespace natsession {

// The bytes of a segment file around its frames: the header, and the footer of a sealed one. FORMAT.md gives
// the layout.
//   segment = header [peers] *frame [footer]
//   footer  = [peers] index trailer
// Threads: plain functions and value types.

inline constexpr std::uint16_t kSegmentVersion = 1;
inline constexpr std::size_t kSegmentHeaderBytes = 64;
inline constexpr std::size_t kTrailerBytes = 96;
inline constexpr std::size_t kIndexEntryBytes = 72;
// An index that says it has more entries is not read; the segment is walked instead.
inline constexpr std::size_t kMaxIndexEntries = std::size_t{1} << 20;

struct SegmentHeader {
  Ordinal first = 0;
  UnixMs created;
  std::chrono::milliseconds window{};  // of the records in it; 0: not told, as by versions before
  std::uint32_t peers = 0;  // bytes of the dictionary between the header and the frames, checksum included
};

[[nodiscard]] std::array<std::byte, kSegmentHeaderBytes> encode_segment_header(const SegmentHeader& header);

// Errors: kMalformed if it is too short, has another magic or a bad checksum; kUnavailable if it has a
// version or
//         required feature that this program does not know.
[[nodiscard]] Result<SegmentHeader> decode_segment_header(std::span<const std::byte> bytes);

// A frame and where it stands in its segment file.
struct FramePlace {
  FrameInfo info;
  std::uint64_t offset = 0;
};

// What the frames of a segment come to.
struct SegmentBounds {
  std::uint64_t frames = 0;
  std::uint64_t records = 0;
  Ordinal end = 0;  // one behind the last
  UnixMs min_start = UnixMs::max();
  UnixMs max_start = UnixMs::min();
  UnixMs min_end = UnixMs::max();
  UnixMs max_end = UnixMs::min();

  void add(const FrameInfo& frame);
};

struct SegmentTrailer {
  Ordinal first = 0;
  std::uint64_t index_offset = 0;
  std::uint32_t peers = 0;  // bytes of the second copy of the dictionary, which stands before the index
  std::uint32_t index_checksum = 0;
  std::uint32_t checksum = 0;  // its own, which names this form of the segment
  SegmentBounds bounds;

  [[nodiscard]] std::uint64_t frames_end() const { return index_offset - peers; }
};

// The dictionary of a segment with its checksum, as it stands twice in the file; empty for an empty one.
[[nodiscard]] std::string encode_peers(std::string_view dictionary);

// The footer of a segment whose frames end at `offset`. `peers` as encode_peers() made it.
[[nodiscard]] std::string encode_footer(Ordinal first, std::uint64_t offset, std::string_view peers,
                                        std::span<const FramePlace> frames);

// SegmentTrailer::checksum of a footer.
[[nodiscard]] std::uint32_t seal_of(std::string_view footer);

// `bytes` are the last kTrailerBytes of a file of `file_size`.
// Errors: as decode_segment_header(); kMalformed also for an index that does not fit the file.
[[nodiscard]] Result<SegmentTrailer> decode_trailer(std::span<const std::byte> bytes,
                                                    std::uint64_t file_size);

// Shape:  `bytes` is the index that the trailer tells of.
// Errors: kMalformed if its checksum is bad, or an entry lies outside the frames.
[[nodiscard]] Result<std::vector<FramePlace>> decode_index(std::span<const std::byte> bytes,
                                                           const SegmentTrailer& trailer);

// SegmentFile: a segment's file, read by offset. It stays readable for as long as the object lives, also when
// the file is deleted or renamed meanwhile. Nothing is mapped: a file that is cut under a mapping would end
// the process.
// Threads: any.
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

  // Where the first frame stands, as the header says; where that is damaged, right behind it.
  [[nodiscard]] std::uint64_t frames_begin() const;
  // The segment's dictionary of addresses; null where it has none, or both copies are damaged. Read at the
  // first call.
  [[nodiscard]] Peers peers() const;
  // Whether both copies are as they should be.
  // Errors: kMalformed, kIo.
  [[nodiscard]] Result<void> verify_peers() const;

 private:
  UniqueFd fd_;
  SegmentName name_;
  std::string path_;
  [[nodiscard]] Result<Peers> read_peers(std::uint64_t offset, std::uint32_t bytes) const;

  mutable std::atomic<bool> zeros_for_bad_ = false;
  mutable std::mutex peers_mutex_;
  mutable std::optional<Peers> peers_;
};

}  // namespace natsession
