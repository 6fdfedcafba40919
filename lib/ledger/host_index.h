// HostIndex: whose a frame's rows are. Rows are sorted by nat_ip, then by pri_ip, then by ordinal: those of a
// host behind one address are a run. So an address is found by a look at the runs, and its rows are all that
// is read.
// Shape:  index  := block *;  block := nat u16 (place among the frame's nat_ip), runs u16, first row u32,
//                   step bits u8, length bits u8, runs' offset u32, first pri_ip 16 bytes
//         runs   := of each block, filled up to whole bytes: the length less 1 of its first run; of each
//         other run how
//                   much the last 64 bits of its pri_ip are above those of the one before, and its length
//                   less 1
//         Numbers are in Golomb's code with 2^bits (Rice): the upper bits as that many ones and a zero, then
//         the lower; an upper part of kRiceEscape ones says that 64 bits follow. All runs of a block have the
//         same nat_ip and the same first 64 bits of pri_ip. Blocks ascend by row.
// Threads: plain functions and value types.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ledger/bytes.h"
#include "net/ip_address.h"

namespace natsession {

struct HostRun {
  IpAddress pri_ip;
  std::uint16_t nat = 0;
  std::uint32_t first_row = 0;
  std::uint32_t rows = 0;
};

inline constexpr std::size_t kHostBlockBytes = 30;
inline constexpr std::size_t kMaxRunsOfBlock = 128;
inline constexpr unsigned kRiceEscape = 24;

// Shape: runs as they stand in a frame.
void append_host_index(std::span<const HostRun> runs, std::string& index, std::string& entries);

struct HostBlock {
  IpAddress first;
  std::uint16_t nat = 0;
  std::uint16_t runs = 0;
  std::uint32_t first_row = 0;
  std::uint8_t step_bits = 0;
  std::uint8_t length_bits = 0;
  std::uint32_t offset = 0;  // of its runs
  std::uint32_t rows = 0;    // of all its runs, as the next block tells
};

// False if the bytes are no index of so many rows and nat_ips, whose runs take `entry_bytes`.
[[nodiscard]] bool read_host_blocks(std::span<const std::byte> index, std::size_t nats, std::size_t rows,
                                    std::size_t entry_bytes, std::vector<HostBlock>& blocks);
// Adds the runs of one block. False if they are not what the block says.
[[nodiscard]] bool read_host_runs(const HostBlock& block, std::span<const std::byte> entries,
                                  std::vector<HostRun>& runs);
// Likewise, only those whose pri_ip is from `from` to `to`; none is looked at behind them.
[[nodiscard]] bool read_host_runs(const HostBlock& block, std::span<const std::byte> entries,
                                  const IpAddress& from, const IpAddress& to, std::vector<HostRun>& runs);

}  // namespace natsession
