#include <limits>

#include "ledger/crc32c.h"
#include "ledger/frame_bytes.h"
#include "ledger/frame_layout.h"

namespace natsession {
namespace {

Error malformed(std::string what) {
  return Error{ErrorKind::kMalformed, "frame header: " + std::move(what)};
}

template <typename T>
T field(std::span<const std::byte> header, std::size_t at) {
  return load_little_endian<T>(header.data() + at);
}

UnixMs time_field(std::span<const std::byte> header, std::size_t at) {
  return UnixMs(std::chrono::milliseconds(static_cast<std::int64_t>(field<std::uint64_t>(header, at))));
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
      field<std::uint32_t>(raw, header_at::kHeaderChecksum)) {
    return malformed("bad checksum");
  }
  FrameHeader header;
  FrameInfo& info = header.info;
  info.first = field<std::uint64_t>(raw, header_at::kFirstOrdinal);
  info.last = field<std::uint64_t>(raw, header_at::kLastOrdinal);
  info.records = field<std::uint32_t>(raw, header_at::kRecords);
  info.bytes = field<std::uint32_t>(raw, header_at::kFrameLength);
  info.min_start = time_field(raw, header_at::kMinStart);
  info.max_start = time_field(raw, header_at::kMaxStart);
  info.min_end = time_field(raw, header_at::kMinEnd);
  info.max_end = time_field(raw, header_at::kMaxEnd);
  info.long_sessions = (field<std::uint32_t>(raw, header_at::kFlags) & kLongSessionsFlag) != 0;
  header.columns = field<std::uint16_t>(raw, header_at::kColumns);
  header.directory_checksum = field<std::uint32_t>(raw, header_at::kDirectoryChecksum);

  if (info.bytes < kFrameHeaderBytes || info.bytes > kMaxFrameBytes)
    return malformed("impossible frame length");
  if (info.records == 0 || info.records > kMaxFrameRecords) return malformed("impossible number of records");
  if (info.last < info.first || info.last - info.first < info.records - 1)
    return malformed("impossible ordinals");

  const auto version = field<std::uint16_t>(raw, header_at::kVersion);
  const std::uint32_t unknown = field<std::uint32_t>(raw, header_at::kRequiredFeatures) & ~kKnownFeatures;
  if (version != kFrameVersion) {
    info.readable = false;
    info.why = "frame of version " + std::to_string(version) + ", this program reads version " +
               std::to_string(kFrameVersion);
  } else if (unknown != 0) {
    info.readable = false;
    info.why = "frame needs feature " + std::to_string(std::countr_zero(unknown)) +
               ", which this program does not know";
  } else if (field<std::uint16_t>(raw, header_at::kHeaderLength) != kFrameHeaderBytes) {
    return malformed("impossible header length");
  } else if (info.bytes - kFrameHeaderBytes < header.columns * kDirectoryEntryBytes) {
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
  store_little_endian(static_cast<std::uint16_t>(header.columns), frame + header_at::kColumns);
  store_little_endian(header.directory_checksum, frame + header_at::kDirectoryChecksum);
  const std::span<const char> covered(frame, header_at::kHeaderChecksum);
  store_little_endian(crc32c(std::as_bytes(covered)), frame + header_at::kHeaderChecksum);
}

Result<FrameInfo> read_frame_header(std::span<const std::byte> bytes) {
  auto header = parse_frame_header(bytes);
  if (!header) return header.error();
  return std::move(header->info);
}

}  // namespace natsession
