#include "ledger/slot.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
#include "ledger/bytes.h"
#include "ledger/crc32c.h"
#include "ledger/ledger_directory.h"

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

std::optional<std::string> slot_text(const SlotBytes& bytes, std::size_t at) {
  const std::size_t length = get_le<std::uint16_t>(bytes, at);
  if (length > max_slot_text(at)) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes.data()) + at + sizeof(std::uint16_t), length);
}

Result<std::optional<UniqueFd>> open_slots(const std::string& directory, std::string_view name) {
  const auto folder = open_directory(directory, /*follow_link=*/true);
  if (!folder) return folder.error();
  const std::string file(name);
  auto fd = open_regular(folder->get(), file, directory + "/" + file, O_RDONLY, 0);
  if (fd) return std::optional(std::move(*fd));
  const ErrorKind kind = fd.error().kind;
  if (kind == ErrorKind::kUnavailable || kind == ErrorKind::kMalformed) return std::optional<UniqueFd>();
  return fd.error();
}

Result<bool> read_slot(int fd, SlotBytes& bytes, std::size_t offset, std::string_view magic,
                       const std::string& path) {
  ssize_t count = 0;
  do {
    count = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EIO) return system_error("ledger: read " + path, errno);
  return count == ssize_t{kSlotBytes} && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0 &&
         get_le<std::uint32_t>(bytes, kSlotChecksumAt) == crc32c(std::span(bytes).first(kSlotChecksumAt));
}

Result<void> check_slot_version(const SlotBytes& bytes, const std::string& path) {
  if (get_le<std::uint16_t>(bytes, kVersionAt) <= kSlotVersion &&
      get_le<std::uint32_t>(bytes, kRequiredAt) == 0)
    return {};
  return Error{ErrorKind::kUnavailable, "ledger: read " + path + ": a newer program wrote it"};
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
