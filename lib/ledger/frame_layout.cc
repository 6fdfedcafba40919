#include "ledger/frame_layout.h"

#include <limits>
#include <vector>

#include "ledger/bytes.h"
#include "ledger/crc32c.h"

namespace natsession {
namespace {

Error malformed(std::string what) {
  return Error{ErrorKind::kMalformed, "frame header: " + std::move(what)};
}

void store_time(UnixMs time, char* to) {
  store_little_endian(static_cast<std::uint64_t>(time.time_since_epoch().count()), to);
}

}  // namespace

Result<FrameHeader> parse_frame_header(std::span<const std::byte> bytes) {
  if (bytes.size() < kFrameHeaderBytes) return malformed("cut short");
  const auto raw = bytes.first(kFrameHeaderBytes);
  if (std::memcmp(raw.data(), kFrameMagic.data(), kFrameMagic.size()) != 0) return malformed("no magic");
  if (crc32c(raw.first(header_at::kHeaderChecksum)) !=
      get_le<std::uint32_t>(raw, header_at::kHeaderChecksum)) {
    return malformed("bad checksum");
  }
  FrameHeader header;
  FrameInfo& info = header.info;
  info.first = get_le<std::uint64_t>(raw, header_at::kFirstOrdinal);
  info.last = get_le<std::uint64_t>(raw, header_at::kLastOrdinal);
  info.records = get_le<std::uint32_t>(raw, header_at::kRecords);
  info.bytes = get_le<std::uint32_t>(raw, header_at::kFrameLength);
  info.min_start = get_time(raw, header_at::kMinStart);
  info.max_start = get_time(raw, header_at::kMaxStart);
  info.min_end = get_time(raw, header_at::kMinEnd);
  info.max_end = get_time(raw, header_at::kMaxEnd);
  info.long_sessions = (get_le<std::uint32_t>(raw, header_at::kFlags) & kLongSessionsFlag) != 0;
  header.parts = get_le<std::uint16_t>(raw, header_at::kParts);
  header.directory_checksum = get_le<std::uint32_t>(raw, header_at::kDirectoryChecksum);
  header.peers = get_le<std::uint32_t>(raw, header_at::kPeers);

  if (info.bytes < kFrameHeaderBytes || info.bytes > kMaxFrameBytes)
    return malformed("impossible frame length");
  if (info.records == 0 || info.records > kMaxSealedRecords) return malformed("impossible number of records");
  if (info.last < info.first || info.last - info.first < info.records - 1)
    return malformed("impossible ordinals");

  header.version = get_le<std::uint16_t>(raw, header_at::kVersion);
  const std::uint32_t unknown = get_le<std::uint32_t>(raw, header_at::kRequiredFeatures) & ~kKnownFeatures;
  if (header.version != kFrameVersion && header.version != 1) {
    info.readable = false;
    info.why = "frame of version " + std::to_string(header.version) + ", this program reads version " +
               std::to_string(kFrameVersion);
  } else if (unknown != 0) {
    info.readable = false;
    info.why = "frame needs feature " + std::to_string(std::countr_zero(unknown)) +
               ", which this program does not know";
  } else if (get_le<std::uint16_t>(raw, header_at::kHeaderLength) != kFrameHeaderBytes) {
    return malformed("impossible header length");
  } else if (header.version == 1) {
    if (info.records > kMaxFrameRecords ||
        (info.bytes - kFrameHeaderBytes) / kDirectoryEntryBytesOf1 < header.parts)
      return malformed("of version 1, and impossible");
  } else if (header.parts != parts_of(info.records) ||
             info.bytes - kFrameHeaderBytes < header.parts * kDirectoryEntryBytes) {
    return malformed("directory overruns the frame");
  }
  return header;
}

void store_frame_header(const FrameHeader& header, char* frame) {
  const FrameInfo& info = header.info;
  std::memset(frame, 0, kFrameHeaderBytes);
  std::memcpy(frame, kFrameMagic.data(), kFrameMagic.size());
  store_little_endian(kFrameVersion, frame + header_at::kVersion);
  store_little_endian(std::uint16_t{kFrameHeaderBytes}, frame + header_at::kHeaderLength);
  store_little_endian(info.bytes, frame + header_at::kFrameLength);
  store_little_endian(info.records, frame + header_at::kRecords);
  store_little_endian(info.first, frame + header_at::kFirstOrdinal);
  store_little_endian(info.last, frame + header_at::kLastOrdinal);
  store_time(info.min_start, frame + header_at::kMinStart);
  store_time(info.max_start, frame + header_at::kMaxStart);
  store_time(info.min_end, frame + header_at::kMinEnd);
  store_time(info.max_end, frame + header_at::kMaxEnd);
  store_little_endian(info.long_sessions ? kLongSessionsFlag : 0U, frame + header_at::kFlags);
  store_little_endian(static_cast<std::uint16_t>(header.parts), frame + header_at::kParts);
  store_little_endian(header.directory_checksum, frame + header_at::kDirectoryChecksum);
  store_little_endian(header.peers, frame + header_at::kPeers);
  const std::span<const char> covered(frame, header_at::kHeaderChecksum);
  store_little_endian(crc32c(std::as_bytes(covered)), frame + header_at::kHeaderChecksum);
}

Result<FrameInfo> read_frame_header(std::span<const std::byte> bytes) {
  auto header = parse_frame_header(bytes);
  if (!header) return header.error();
  return std::move(header->info);
}

}  // namespace natsession
