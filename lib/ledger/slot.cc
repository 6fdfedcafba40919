#include "ledger/slot.h"

#include <cerrno>
#include <cstring>

#include <unistd.h>

#include "ledger/bytes.h"
#include "ledger/crc32c.h"

namespace natsession {
namespace {

constexpr std::uint16_t kSlotVersion = 1;

}  // namespace

SlotBytes begin_slot(std::string_view magic, std::uint64_t generation) {
  SlotBytes bytes{};
  std::memcpy(bytes.data(), magic.data(), magic.size());
  put_le(bytes, kVersionAt, kSlotVersion);
  put_le(bytes, kLengthAt, static_cast<std::uint16_t>(kSlotBytes));
  put_le(bytes, kSlotGenerationAt, generation);
  return bytes;
}

void put_slot_text(SlotBytes& bytes, std::size_t at, std::string_view text) {
  text = text.substr(0, max_slot_text(at));
  put_le(bytes, at, static_cast<std::uint16_t>(text.size()));
  std::memcpy(bytes.data() + at + sizeof(std::uint16_t), text.data(), text.size());
}

void seal_slot(SlotBytes& bytes) {
  put_le(bytes, kSlotChecksumAt, crc32c(std::span(bytes).first(kSlotChecksumAt)));
}

bool is_whole_slot(const SlotBytes& bytes, std::string_view magic) {
  return std::memcmp(bytes.data(), magic.data(), magic.size()) == 0 &&
         get_le<std::uint32_t>(bytes, kSlotChecksumAt) == crc32c(std::span(bytes).first(kSlotChecksumAt));
}

bool is_newer_slot(const SlotBytes& bytes) {
  return get_le<std::uint16_t>(bytes, kVersionAt) > kSlotVersion ||
         get_le<std::uint32_t>(bytes, kRequiredAt) != 0;
}

std::optional<std::string> slot_text(const SlotBytes& bytes, std::size_t at) {
  const std::size_t length = get_le<std::uint16_t>(bytes, at);
  if (length > max_slot_text(at)) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes.data()) + at + sizeof(std::uint16_t), length);
}

Result<bool> read_slot(int fd, SlotBytes& bytes, std::size_t offset, const std::string& path) {
  ssize_t count = 0;
  do {
    count = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EIO) return system_error("ledger: read " + path, errno);
  return count == ssize_t{kSlotBytes};
}

Result<void> write_at(int fd, std::span<const std::byte> bytes, std::size_t offset, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return system_error("ledger: write " + path, count < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::size_t>(count);
  }
  return {};
}

}  // namespace natsession
