#include "ledger/segment_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
#include "ledger/bytes.h"
#include "ledger/crc32c.h"

namespace natsession {
namespace {

// The line ends, as in PNG: a copy that was made "as text" shows.
constexpr std::string_view kHeaderMagic = "NSLSEG\r\n";
constexpr std::string_view kTrailerMagic = "NSLEND\r\n";
constexpr std::uint32_t kLongSessions = 1;

// header
constexpr std::size_t kFirstAt = 16;
constexpr std::size_t kCreatedAt = 24;
constexpr std::size_t kWindowAt = 32;  // in ms
constexpr std::size_t kHeaderPeersAt = 36;
constexpr std::size_t kHeaderChecksumAt = 60;

// trailer: version, length, required features and first as in the header
constexpr std::size_t kEndAt = 24;
constexpr std::size_t kIndexOffsetAt = 32;
constexpr std::size_t kFramesAt = 40;
constexpr std::size_t kRecordsAt = 44;
constexpr std::size_t kTimesAt = 52;  // min and max of the starts, of the ends
constexpr std::size_t kIndexChecksumAt = 84;
constexpr std::size_t kTrailerPeersAt = 88;
constexpr std::size_t kTrailerChecksumAt = 92;

// A dictionary that says it is longer is not read.
constexpr std::uint32_t kMaxPeersBytes = std::uint32_t{64} << 20;

void put_magic(std::span<std::byte> bytes, std::string_view magic) {
  std::memcpy(bytes.data(), magic.data(), magic.size());
}

void put_checksum(std::span<std::byte> bytes, std::size_t at) {
  put_le(bytes, at, crc32c(bytes.first(at)));
}

// What header and trailer have in common.
Result<void> check(std::span<const std::byte> bytes, std::string_view magic, std::size_t size,
                   std::size_t checksum_at, const char* what) {
  if (bytes.size() < size) return Error{ErrorKind::kMalformed, std::string("the ") + what + " is cut off"};
  if (std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
    return Error{ErrorKind::kMalformed, std::string("there is no ") + what};
  }
  if (get_le<std::uint32_t>(bytes, checksum_at) != crc32c(bytes.first(checksum_at))) {
    return Error{ErrorKind::kMalformed, std::string("the ") + what + "'s checksum is wrong"};
  }
  const auto version = get_le<std::uint16_t>(bytes, kVersionAt);
  const auto required = get_le<std::uint32_t>(bytes, kRequiredAt);
  if (version > kSegmentVersion || required != 0) {
    return Error{ErrorKind::kUnavailable, std::string("the ") + what + " is of version " +
                                              std::to_string(version) + " with features " +
                                              std::to_string(required) + ": a newer program wrote it"};
  }
  return {};
}

void put_times(std::span<std::byte> bytes, std::size_t at, UnixMs min_start, UnixMs max_start, UnixMs min_end,
               UnixMs max_end) {
  put_time(bytes, at, min_start);
  put_time(bytes, at + 8, max_start);
  put_time(bytes, at + 16, min_end);
  put_time(bytes, at + 24, max_end);
}

template <typename Bounds>
void get_times(std::span<const std::byte> bytes, std::size_t at, Bounds& bounds) {
  bounds.min_start = get_time(bytes, at);
  bounds.max_start = get_time(bytes, at + 8);
  bounds.min_end = get_time(bytes, at + 16);
  bounds.max_end = get_time(bytes, at + 24);
}

constexpr std::size_t kSectorBytes = 4096;

}  // namespace

void SegmentBounds::add(const FrameInfo& frame) {
  ++frames;
  records += frame.records;
  end = std::max(end, frame.last + 1);
  min_start = std::min(min_start, frame.min_start);
  max_start = std::max(max_start, frame.max_start);
  min_end = std::min(min_end, frame.min_end);
  max_end = std::max(max_end, frame.max_end);
}

std::array<std::byte, kSegmentHeaderBytes> encode_segment_header(const SegmentHeader& header) {
  std::array<std::byte, kSegmentHeaderBytes> bytes{};
  put_magic(bytes, kHeaderMagic);
  put_le(bytes, kVersionAt, kSegmentVersion);
  put_le(bytes, kLengthAt, static_cast<std::uint16_t>(kSegmentHeaderBytes));
  put_le(bytes, kFirstAt, header.first);
  put_time(bytes, kCreatedAt, header.created);
  put_le(bytes, kWindowAt, static_cast<std::uint32_t>(header.window.count()));
  put_le(bytes, kHeaderPeersAt, header.peers);
  put_checksum(bytes, kHeaderChecksumAt);
  return bytes;
}

Result<SegmentHeader> decode_segment_header(std::span<const std::byte> bytes) {
  if (auto checked = check(bytes, kHeaderMagic, kSegmentHeaderBytes, kHeaderChecksumAt, "segment header");
      !checked) {
    return checked.error();
  }
  SegmentHeader header;
  header.first = get_le<std::uint64_t>(bytes, kFirstAt);
  header.created = get_time(bytes, kCreatedAt);
  header.window = std::chrono::milliseconds(get_le<std::uint32_t>(bytes, kWindowAt));
  header.peers = get_le<std::uint32_t>(bytes, kHeaderPeersAt);
  if (header.peers > kMaxPeersBytes || header.first > kMaxOrdinal ||
      get_le<std::uint16_t>(bytes, kLengthAt) != kSegmentHeaderBytes) {
    return Error{ErrorKind::kMalformed, "the segment header is impossible"};
  }
  return header;
}

std::string encode_peers(std::string_view dictionary) {
  std::string bytes;
  if (dictionary.empty()) return bytes;
  append_little_endian(crc32c(std::as_bytes(std::span(dictionary))), bytes);
  return bytes += dictionary;
}

std::string encode_footer(Ordinal first, std::uint64_t offset, std::string_view peers,
                          std::span<const FramePlace> frames) {
  std::vector<std::byte> bytes(frames.size() * kIndexEntryBytes + kTrailerBytes);
  SegmentBounds bounds;
  std::size_t position = 0;
  for (const FramePlace& frame : frames) {
    const auto entry = std::span(bytes).subspan(position, kIndexEntryBytes);
    const FrameInfo& info = frame.info;
    put_le(entry, 0, frame.offset);
    put_le(entry, 8, info.first);
    put_le(entry, 16, info.last);
    put_le(entry, 24, info.records);
    put_le(entry, 28, info.bytes);
    put_times(entry, 32, info.min_start, info.max_start, info.min_end, info.max_end);
    put_le(entry, 64, info.long_sessions ? kLongSessions : std::uint32_t{0});
    bounds.add(info);
    position += kIndexEntryBytes;
  }
  const auto trailer = std::span(bytes).subspan(position);
  put_magic(trailer, kTrailerMagic);
  put_le(trailer, kVersionAt, kSegmentVersion);
  put_le(trailer, kLengthAt, static_cast<std::uint16_t>(kTrailerBytes));
  put_le(trailer, kFirstAt, first);
  put_le(trailer, kEndAt, std::max(bounds.end, first));
  put_le(trailer, kIndexOffsetAt, offset + peers.size());
  put_le(trailer, kTrailerPeersAt, static_cast<std::uint32_t>(peers.size()));
  put_le(trailer, kFramesAt, static_cast<std::uint32_t>(frames.size()));
  put_le(trailer, kRecordsAt, bounds.records);
  put_times(trailer, kTimesAt, bounds.min_start, bounds.max_start, bounds.min_end, bounds.max_end);
  put_le(trailer, kIndexChecksumAt, crc32c(std::span(bytes).first(position)));
  put_checksum(trailer, kTrailerChecksumAt);
  std::string footer(peers);
  return footer.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::uint32_t seal_of(std::string_view footer) {
  const auto trailer = std::as_bytes(std::span(footer)).last(kTrailerBytes);
  return get_le<std::uint32_t>(trailer, kTrailerChecksumAt);
}

Result<SegmentTrailer> decode_trailer(std::span<const std::byte> bytes, std::uint64_t file_size) {
  if (auto checked = check(bytes, kTrailerMagic, kTrailerBytes, kTrailerChecksumAt, "trailer"); !checked) {
    return checked.error();
  }
  SegmentTrailer trailer;
  trailer.first = get_le<std::uint64_t>(bytes, kFirstAt);
  trailer.index_offset = get_le<std::uint64_t>(bytes, kIndexOffsetAt);
  trailer.index_checksum = get_le<std::uint32_t>(bytes, kIndexChecksumAt);
  trailer.checksum = get_le<std::uint32_t>(bytes, kTrailerChecksumAt);
  trailer.peers = get_le<std::uint32_t>(bytes, kTrailerPeersAt);
  trailer.bounds.end = get_le<std::uint64_t>(bytes, kEndAt);
  trailer.bounds.frames = get_le<std::uint32_t>(bytes, kFramesAt);
  trailer.bounds.records = get_le<std::uint64_t>(bytes, kRecordsAt);
  get_times(bytes, kTimesAt, trailer.bounds);

  const std::uint64_t index_bytes = trailer.bounds.frames * kIndexEntryBytes;
  const bool fits = trailer.bounds.frames <= kMaxIndexEntries &&
                    trailer.index_offset >= kSegmentHeaderBytes + std::uint64_t{trailer.peers} &&
                    file_size >= kTrailerBytes + index_bytes &&
                    trailer.index_offset == file_size - kTrailerBytes - index_bytes;
  const bool ordered = trailer.first <= trailer.bounds.end && trailer.bounds.end <= kMaxOrdinal + 1;
  if (!fits || !ordered) return Error{ErrorKind::kMalformed, "the trailer does not fit its file"};
  return trailer;
}

Result<std::vector<FramePlace>> decode_index(std::span<const std::byte> bytes,
                                             const SegmentTrailer& trailer) {
  const std::size_t count = bytes.size() / kIndexEntryBytes;
  if (bytes.size() % kIndexEntryBytes != 0 || count != trailer.bounds.frames ||
      crc32c(bytes) != trailer.index_checksum) {
    return Error{ErrorKind::kMalformed, "the index's checksum is wrong"};
  }
  std::vector<FramePlace> frames(count);
  std::uint64_t behind = kSegmentHeaderBytes;
  for (std::size_t index = 0; index < count; ++index) {
    const auto entry = bytes.subspan(index * kIndexEntryBytes, kIndexEntryBytes);
    FramePlace& frame = frames[index];
    frame.offset = get_le<std::uint64_t>(entry, 0);
    frame.info.first = get_le<std::uint64_t>(entry, 8);
    frame.info.last = get_le<std::uint64_t>(entry, 16);
    frame.info.records = get_le<std::uint32_t>(entry, 24);
    frame.info.bytes = get_le<std::uint32_t>(entry, 28);
    get_times(entry, 32, frame.info);
    frame.info.long_sessions = (get_le<std::uint32_t>(entry, 64) & kLongSessions) != 0;
    const bool inside = frame.offset >= behind && frame.offset <= trailer.frames_end() &&
                        frame.info.bytes >= kFrameHeaderBytes && frame.info.bytes <= kMaxFrameBytes &&
                        frame.info.bytes <= trailer.frames_end() - frame.offset;
    if (!inside) return Error{ErrorKind::kMalformed, "the index tells of a frame outside its segment"};
    behind = frame.offset + frame.info.bytes;
  }
  return frames;
}

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

std::uint64_t SegmentFile::frames_begin() const {
  const auto read = header();
  return kSegmentHeaderBytes + (read ? read->peers : 0U);
}

Result<Peers> SegmentFile::read_peers(std::uint64_t offset, std::uint32_t bytes) const {
  if (bytes == 0) return Peers();
  const Error damaged{ErrorKind::kMalformed, path_ + ": a dictionary of addresses is damaged"};
  if (bytes <= sizeof(std::uint32_t) || bytes > kMaxPeersBytes) return damaged;
  std::string all(bytes, '\0');
  const auto count = read_at(offset, std::as_writable_bytes(std::span(all)));
  if (!count) return count.error();
  const auto checksum = load_little_endian<std::uint32_t>(reinterpret_cast<const std::byte*>(all.data()));
  all.erase(0, sizeof(checksum));
  if (*count != bytes || crc32c(std::as_bytes(std::span(all))) != checksum) return damaged;
  auto read = PeerDictionary::read(std::move(all));
  if (!read) return damaged;
  return *read;
}

Peers SegmentFile::peers() const {
  if (!name_.sealed) return nullptr;
  const std::lock_guard lock(peers_mutex_);
  if (peers_) return *peers_;
  Peers found;
  if (const auto read = header(); read && read->peers != 0) {
    if (const auto first = read_peers(kSegmentHeaderBytes, read->peers)) found = *first;
  }
  if (found == nullptr) {
    if (const auto read = trailer(); read && read->peers != 0) {
      if (const auto second = read_peers(read->frames_end(), read->peers)) found = *second;
    }
  }
  peers_ = found;
  return found;
}

Result<void> SegmentFile::verify_peers() const {
  if (const auto read = header()) {
    if (auto first = read_peers(kSegmentHeaderBytes, read->peers); !first) return first.error();
  }
  if (const auto read = trailer()) {
    if (auto second = read_peers(read->frames_end(), read->peers); !second) return second.error();
  }
  return {};
}

}  // namespace natsession
