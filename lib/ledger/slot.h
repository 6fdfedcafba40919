// Slots: what stands in a file for long and changes often (a cursor, a claim of coverage) is written in turn
// into two slots of a sector each, so that the one before is whole whatever becomes of a write.
// Shape:  magic (8 bytes) version:u16 length:u16=512 required:u32 generation:u64 … checksum:u32, the CRC32C of the
//         508 bytes before. What lies between is the user's; a text is length:u16 and its bytes, up to the
//         checksum.
// Threads: any; two at once on one file are not kept apart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace natsession {

inline constexpr std::size_t kSlotBytes = 512;
inline constexpr std::size_t kSlotGenerationAt = 16;
inline constexpr std::size_t kSlotChecksumAt = kSlotBytes - 4;
// How long a text that begins at `at` may be; a longer one is cut.
[[nodiscard]] constexpr std::size_t max_slot_text(std::size_t at) {
  return kSlotChecksumAt - at - sizeof(std::uint16_t);
}

using SlotBytes = std::array<std::byte, kSlotBytes>;

// The beginning of a slot, of version 1; the rest is zeros.
[[nodiscard]] SlotBytes begin_slot(std::string_view magic, std::uint64_t generation);
void put_slot_text(SlotBytes& bytes, std::size_t at, std::string_view text);
void seal_slot(SlotBytes& bytes);  // the checksum, when all else is there

// Nothing if it would run into the checksum.
[[nodiscard]] std::optional<std::string> slot_text(const SlotBytes& bytes, std::size_t at);

// The file `name` of slots in `directory`, to read. Nothing if it is not there, or is no regular file.
// Errors: kPermission, kIo with the path.
[[nodiscard]] Result<std::optional<UniqueFd>> open_slots(const std::string& directory, std::string_view name);
// False if it is not whole: cut off, on a bad sector, or damaged.
// Errors: kPermission, kIo with the path.
[[nodiscard]] Result<bool> read_slot(int fd, SlotBytes& bytes, std::size_t offset, std::string_view magic,
                                     const std::string& path);
// Of a whole one.
// Errors: kUnavailable if a newer program wrote it, in a way that this one does not know.
[[nodiscard]] Result<void> check_slot_version(const SlotBytes& bytes, const std::string& path);
// Errors: kIo with the path; a part may have been written.
[[nodiscard]] Result<void> write_at(int fd, std::span<const std::byte> bytes, std::size_t offset,
                                    const std::string& path);

}  // namespace natsession
