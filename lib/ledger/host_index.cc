#include "ledger/host_index.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "ledger/address_halves.h"
#include "ledger/number_model.h"

namespace natsession {
namespace {

void put_rice(std::uint64_t value, unsigned bits, BitSink& to) {
  const std::uint64_t upper = value >> bits;
  if (upper >= kRiceEscape) {
    to.put(low_bits(kRiceEscape), kRiceEscape);
    to.put(value, 64);
    return;
  }
  to.put(low_bits(static_cast<unsigned>(upper)), static_cast<unsigned>(upper) + 1);
  to.put(value & low_bits(bits), bits);
}

std::uint64_t get_rice(unsigned bits, BitReader& from) {
  if (bits <= 32) [[likely]] {
    const std::uint64_t word = from.peek(56);
    if (const auto upper = static_cast<unsigned>(std::countr_one(word)); upper < kRiceEscape) {
      from.take(upper + 1 + bits);
      return std::uint64_t{upper} << bits | ((word >> (upper + 1)) & low_bits(bits));
    }
  }
  const unsigned upper = from.ones(kRiceEscape);
  if (upper == kRiceEscape) return from.get(64);
  return std::uint64_t{upper} << bits | from.get(bits);
}

// About the best for numbers of this mean.
unsigned rice_bits(std::uint64_t sum, std::uint64_t count) {
  const std::uint64_t mean = count == 0 ? 0 : sum / count * 7 / 10;
  return std::min(63U, static_cast<unsigned>(std::bit_width(mean)));
}

}  // namespace

void append_host_index(std::span<const HostRun> runs, std::string& index, std::string& entries) {
  BitSink bits;
  for (std::size_t at = 0; at < runs.size();) {
    const HostRun& head = runs[at];
    const Halves base = halves_of(head.pri_ip);
    std::uint64_t steps = 0;
    std::uint64_t lengths = head.rows - 1;
    std::size_t end = at + 1;
    for (; end < runs.size() && end - at < kMaxRunsOfBlock; ++end) {
      const Halves next = halves_of(runs[end].pri_ip);
      if (runs[end].nat != head.nat || next.high != base.high) break;
      steps += std::min(next.low - halves_of(runs[end - 1].pri_ip).low, ~std::uint64_t{0} / kMaxRunsOfBlock);
      lengths += runs[end].rows - 1;
    }
    const unsigned step_bits = rice_bits(steps, end - at - 1);
    const unsigned length_bits = rice_bits(lengths, end - at);
    append_little_endian(head.nat, index);
    append_little_endian(static_cast<std::uint16_t>(end - at), index);
    append_little_endian(head.first_row, index);
    index.push_back(static_cast<char>(step_bits));
    index.push_back(static_cast<char>(length_bits));
    append_little_endian(static_cast<std::uint32_t>(entries.size()), index);
    index.append(reinterpret_cast<const char*>(head.pri_ip.bytes().data()), 16);
    bits.reserve((end - at) * 2 * (kRiceEscape + 64));
    put_rice(head.rows - 1, length_bits, bits);
    for (std::size_t i = at + 1; i < end; ++i) {
      put_rice(halves_of(runs[i].pri_ip).low - halves_of(runs[i - 1].pri_ip).low, step_bits, bits);
      put_rice(runs[i].rows - 1, length_bits, bits);
    }
    bits.finish(entries);
    at = end;
  }
}

bool read_host_blocks(std::span<const std::byte> index, std::size_t nats, std::size_t rows,
                      std::size_t entry_bytes, std::vector<HostBlock>& blocks) {
  if (index.empty() || index.size() % kHostBlockBytes != 0) return false;
  blocks.resize(index.size() / kHostBlockBytes);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::byte* const at = index.data() + i * kHostBlockBytes;
    HostBlock& block = blocks[i];
    block.nat = load_little_endian<std::uint16_t>(at);
    block.runs = load_little_endian<std::uint16_t>(at + 2);
    block.first_row = load_little_endian<std::uint32_t>(at + 4);
    block.step_bits = std::to_integer<std::uint8_t>(at[8]);
    block.length_bits = std::to_integer<std::uint8_t>(at[9]);
    block.offset = load_little_endian<std::uint32_t>(at + 10);
    block.first = IpAddress::from_v6(
        std::span<const std::uint8_t, 16>(reinterpret_cast<const std::uint8_t*>(at + 14), 16));
    const bool good = block.nat < nats && block.runs > 0 && block.runs <= kMaxRunsOfBlock &&
                      block.step_bits < 64 && block.length_bits < 64 && block.offset <= entry_bytes &&
                      block.first_row < rows && (i == 0) == (block.first_row == 0) &&
                      (i == 0 || block.first_row > blocks[i - 1].first_row);
    if (!good) return false;
    if (i > 0) blocks[i - 1].rows = block.first_row - blocks[i - 1].first_row;
  }
  blocks.back().rows = static_cast<std::uint32_t>(rows) - blocks.back().first_row;
  return true;
}

bool read_host_runs(const HostBlock& block, std::span<const std::byte> entries, const IpAddress& from,
                    const IpAddress& to, std::vector<HostRun>& runs) {
  Halves address = halves_of(block.first);
  const Halves lowest = halves_of(from);
  const Halves highest = halves_of(to);
  if (address.high < lowest.high || address.high > highest.high) return true;
  const std::uint64_t from_low = address.high == lowest.high ? lowest.low : 0;
  const std::uint64_t to_low = address.high == highest.high ? highest.low : ~std::uint64_t{0};
  BitReader bits(entries.subspan(block.offset));
  std::uint64_t row = 0;
  for (std::size_t i = 0; i < block.runs; ++i) {
    if (i > 0) {
      const std::uint64_t step = get_rice(block.step_bits, bits);
      if (step > ~address.low) return false;
      address.low += step;
    }
    if (address.low > to_low) return true;
    const std::uint64_t rows = get_rice(block.length_bits, bits) + 1;
    if (rows == 0 || rows > block.rows - row) return false;
    if (address.low >= from_low) {
      runs.push_back({address_of(address), block.nat, static_cast<std::uint32_t>(block.first_row + row),
                      static_cast<std::uint32_t>(rows)});
    }
    row += rows;
  }
  return row == block.rows;
}

bool read_host_runs(const HostBlock& block, std::span<const std::byte> entries, std::vector<HostRun>& runs) {
  return read_host_runs(block, entries, address_of({0, 0}),
                        address_of({~std::uint64_t{0}, ~std::uint64_t{0}}), runs);
}

}  // namespace natsession
