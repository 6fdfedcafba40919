// Contexts: which group each record belongs to, computed alike by encoder and decoder from columns that go
// before.
// Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "ledger/frame_layout.h"

namespace natsession {

// TCP, UDP, ICMP and the rest.
[[nodiscard]] inline std::uint8_t protocol_group(std::uint64_t protocol) {
  std::uint8_t group = 3;
  if (protocol == 1 || protocol == 58) group = 2;
  if (protocol == 17) group = 1;
  if (protocol == 6) group = 0;
  return group;
}

// 12 groups: the services that most of the world's sessions are of, and the rest by protocol and port.
[[nodiscard]] inline std::uint8_t service_group(std::uint64_t protocol, std::uint64_t pub_port) {
  constexpr unsigned kPorts = 7;
  static constexpr std::array<std::uint8_t, 4 * kPorts> kGroup = {0,  1,  2,  2,  3,  3,  4,   // TCP
                                                                  5,  8,  6,  8,  7,  8,  9,   // UDP
                                                                  10, 10, 10, 10, 10, 10, 10,  // ICMP
                                                                  11, 11, 11, 11, 11, 11, 11};
  unsigned port = pub_port < 1024 ? 5 : 6;
  if (pub_port == 123) port = 4;
  if (pub_port == 853) port = 3;
  if (pub_port == 53) port = 2;
  if (pub_port == 80) port = 1;
  if (pub_port == 443) port = 0;
  return kGroup[protocol_group(protocol) * kPorts + port];
}

// By the size of a count's code, and by the kind of service.
[[nodiscard]] inline std::uint8_t size_group(std::uint64_t code, std::uint8_t service) {
  static constexpr std::array<std::uint8_t, 12> kFamily = {0, 0, 0, 0, 0, 8, 16, 24, 24, 24, 24, 24};
  static constexpr std::array<std::uint8_t, 16> kSize = {0, 1, 2, 3, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6};
  const auto size = code < 16 ? kSize[static_cast<std::size_t>(code)] : std::uint8_t{7};
  return static_cast<std::uint8_t>(kFamily[service] + size);
}

// What group_by_frequency() makes ColumnContext::kKind of.
inline constexpr std::size_t kKinds = 12 * 40 * 2;
[[nodiscard]] inline std::uint16_t kind_key(std::uint8_t service, std::uint64_t outcome, bool continued) {
  const auto bounded = static_cast<unsigned>(outcome < 39 ? outcome : 39);
  return static_cast<std::uint16_t>((service * 40U + bounded) * 2 + (continued ? 1 : 0));
}

// The most frequent key is group 0, and so on; those equally frequent by their size. The 32nd and all behind
// it share a group.
// Shape: keys below kKinds.
void group_by_frequency(std::span<const std::uint16_t> keys, std::span<std::uint8_t> groups);

// Where each group ends if records stand group by group; group g begins at [g] and ends at [g + 1].
using GroupEnds = std::array<std::size_t, kMaxGroups + 1>;
[[nodiscard]] GroupEnds ends_of(std::span<const std::uint8_t> groups);

}  // namespace natsession
