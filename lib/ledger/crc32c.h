// CRC32C, the checksum of frames (Castagnoli's polynomial, as in iSCSI: RFC 3720, appendix B.4).
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace natsession {

// `before` is the CRC32C of what came before `bytes`: crc32c(b, crc32c(a)) is that of a and b in one.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);

// The same without the processor's instruction, which crc32c() takes where there is one.
[[nodiscard]] std::uint32_t crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace natsession
