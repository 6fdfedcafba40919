#include "ledger/frame_parts.h"

#include <algorithm>
#include <string>

#include "ledger/bytes.h"
#include "ledger/crc32c.h"
#include "ledger/frame_version_1.h"

namespace natsession {
namespace {

// So much is read first: header and directory, and mostly head and hosts, too.
constexpr std::size_t kFront = 12 << 10;

}  // namespace

Result<void> FrameParts::open(std::span<const std::byte> frame) {
  frame_ = frame;
  read_ = nullptr;
  return begin(frame);
}

Result<void> FrameParts::open(std::uint32_t bytes, Read read) {
  if (buffer_.size() < bytes) {
    buffer_.clear();  // or what is there would be copied
    buffer_.resize(bytes);
  }
  frame_ = std::span<const std::byte>(buffer_).first(bytes);
  read_ = std::move(read);
  info_ = FrameInfo();
  const std::size_t front = std::min<std::size_t>(bytes, kFront);
  if (!read_(0, std::span(buffer_).first(front))) return Error{ErrorKind::kMalformed, "the frame is cut off"};
  return begin(frame_.first(front));
}

Result<void> FrameParts::begin(std::span<const std::byte> front) {
  info_ = FrameInfo();
  auto header = parse_frame_header(front);
  if (!header) return header.error();
  if (!header->info.readable) return Error{ErrorKind::kUnavailable, header->info.why};
  if (header->info.bytes != frame_.size()) {
    return Error{ErrorKind::kMalformed, "frame: its length is not what it says"};
  }
  if (header->version == 1) return convert();
  const auto malformed = [](const char* what) {
    return Error{ErrorKind::kMalformed, std::string("frame directory: ") + what};
  };
  const std::size_t directory_bytes = header->parts * kDirectoryEntryBytes;
  if (front.size() < kFrameHeaderBytes + directory_bytes) return malformed("cut short");
  const auto directory = front.subspan(kFrameHeaderBytes, directory_bytes);
  if (crc32c(directory) != header->directory_checksum) return malformed("bad checksum");
  std::uint64_t offset = kFrameHeaderBytes + directory_bytes;
  for (std::size_t place = 0; place < header->parts; ++place) {
    const std::byte* const raw = directory.data() + place * kDirectoryEntryBytes;
    Part& part = parts_[place];
    part.offset = static_cast<std::uint32_t>(offset);
    part.length = load_little_endian<std::uint32_t>(raw);
    part.checksum = load_little_endian<std::uint32_t>(raw + 4);
    part.checked = false;
    offset += part.length;
    if (offset > frame_.size()) return malformed("a part overruns the frame");
  }
  if (offset != frame_.size()) return malformed("bytes that belong to no part");
  peers_ = header->peers;
  info_ = std::move(header->info);
  return {};
}

// It is read whole, and what is asked for is asked of the frame that it becomes.
Result<void> FrameParts::convert() {
  if (read_ && frame_.size() > kFront &&
      !read_(kFront, std::span(buffer_).subspan(kFront, frame_.size() - kFront))) {
    return Error{ErrorKind::kMalformed, "the frame is cut off"};
  }
  read_ = nullptr;
  converted_.clear();
  if (auto converted = convert_frame_of_version_1(frame_, converted_); !converted) return converted;
  frame_ = std::as_bytes(std::span(converted_));
  return begin(frame_);
}

bool FrameParts::get(std::size_t place, std::span<const std::byte>& bytes) {
  Part& part = parts_[place];
  bytes = frame_.subspan(part.offset, part.length);
  if (part.checked) return true;
  if (read_ && part.offset + part.length > kFront &&
      !read_(part.offset, std::span(buffer_).subspan(part.offset, part.length))) {
    return false;
  }
  if (crc32c(bytes) != part.checksum) return false;
  part.checked = true;
  return true;
}

Result<void> FrameParts::verify() {
  std::span<const std::byte> bytes;
  for (std::size_t place = 0; place < parts_of(info_.records); ++place) {
    if (!get(place, bytes)) return Error{ErrorKind::kMalformed, "frame: a part has a bad checksum"};
  }
  return {};
}

}  // namespace natsession
