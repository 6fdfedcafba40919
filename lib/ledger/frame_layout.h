// The numbers and names of the frame format, shared by its encoder and its decoders. FORMAT.md is for people.
// Shape:  frame  := header directory column*
//         header := magic "NSFr", version u16, header length u16, frame length u32, required features u32,
//                   optional features u32, records u32, first ordinal u64, last ordinal u64, min start i64,
//                   max start i64, min end i64, max end i64, flags u32, columns u16, 0 u16, CRC32C of the
//                   directory u32, 0 u64, CRC32C of the header's bytes before it u32
//         directory := entry*;  entry := column u16, coding u8, context u8, length u32, CRC32C of the column
//         u32 Entries ascend by column; columns follow in their order, one behind the other, up to the
//         frame's end.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ledger/frame.h"
#include "record/fields.h"

namespace natsession {

inline constexpr std::array<char, 4> kFrameMagic = {'N', 'S', 'F', 'r'};
inline constexpr std::uint16_t kFrameVersion = 1;
inline constexpr std::uint32_t kKnownFeatures = 0;  // required features that this program knows
inline constexpr std::size_t kDirectoryEntryBytes = 12;
inline constexpr std::uint32_t kLongSessionsFlag = 1;

namespace header_at {
inline constexpr std::size_t kMagic = 0;
inline constexpr std::size_t kVersion = 4;
inline constexpr std::size_t kHeaderLength = 6;
inline constexpr std::size_t kFrameLength = 8;
inline constexpr std::size_t kRequiredFeatures = 12;
inline constexpr std::size_t kOptionalFeatures = 16;
inline constexpr std::size_t kRecords = 20;
inline constexpr std::size_t kFirstOrdinal = 24;
inline constexpr std::size_t kLastOrdinal = 32;
inline constexpr std::size_t kMinStart = 40;
inline constexpr std::size_t kMaxStart = 48;
inline constexpr std::size_t kMinEnd = 56;
inline constexpr std::size_t kMaxEnd = 64;
inline constexpr std::size_t kFlags = 72;
inline constexpr std::size_t kColumns = 76;
inline constexpr std::size_t kDirectoryChecksum = 80;
inline constexpr std::size_t kHeaderChecksum = 92;
}  // namespace header_at

// A column that is not in a frame is all zeros, as coded: what is the same in all records mostly costs
// nothing.
enum class ColumnId : std::uint16_t {
  kOrdinal = 1,      // each less the one before, less 1
  kOrigin = 2,       // texts in pairs: instance, netns
  kVpcId = 3,        // texts
  kPriIp = 4,        // addresses
  kPubIp = 5,        // addresses
  kNatIp = 6,        // addresses
  kPriPort = 7,      //
  kPubPort = 8,      //
  kNatPort = 9,      // less pri_port, modulo 2^16
  kProtocol = 10,    //
  kOutcome = 11,     // event + 4 * tcp_state
  kReason = 12,      // XOR destroyed where event is end
  kEndTime = 13,     // each less the one before (the first: less min end), modulo 2^64; zigzag
  kStartTime = 14,   // end_time less start_time; where the session is continued: start_time less min start
  kSessionAge = 15,  // start_time less session_start, modulo 2^64; 0 where that is not known
  kNoSessionStart = 16,  // 1 where session_start is not known
  kSeq = 17,             //
  kPktsFromVpc = 18,     // a count (see count_code())
  kPktsFromPub = 19,     // a count
  kBytesFromVpc = 20,    // quotients and remainders of bytes by packets
  kBytesFromPub = 21,    // likewise
  kHasOrigDst = 22,      //
  kOrigDstIp = 23,       // addresses, of those records only that have it
  kOrigDstPort = 24,     // likewise
  // From here on plain numbers, as record/fields.h has them: Stored::kPlain.
  kZone = 25,
  kMark = 26,
  kEventsLost = 27,  // a count
};
// Those of record/fields.h, ascending.
inline constexpr auto kPlainColumns = [] {
  std::array<std::uint16_t,
             std::count_if(kFields.begin(), kFields.end(),
                           [](const FieldSpec& spec) { return spec.stored == Stored::kPlain; })>
      columns{};
  std::size_t count = 0;
  visit_plain([&]<Field kField>() { columns[count++] = kRow<kField>.column; });
  std::sort(columns.begin(), columns.end());
  return columns;
}();
inline constexpr std::size_t kColumnIds = kPlainColumns.back() + std::size_t{1};  // one more than the largest
static_assert(kPlainColumns.front() > static_cast<std::uint16_t>(ColumnId::kOrigDstPort));
template <Field kField>
inline constexpr ColumnId kColumn{kRow<kField>.column};
static_assert(kColumn<Field::kVpcId> == ColumnId::kVpcId && kColumn<Field::kNatIp> == ColumnId::kNatIp &&
              kColumn<Field::kNatPort> == ColumnId::kNatPort &&
              kColumn<Field::kEvent> == ColumnId::kOutcome && kColumn<Field::kSeq> == ColumnId::kSeq &&
              kColumn<Field::kBytesFromPub> == ColumnId::kBytesFromPub);

enum class ColumnCoding : std::uint8_t {
  kNumbers = 0,  // grouped by a context
  kByAddress =
      1,  // what each distinct pri_ip or pub_ip mostly has, and exceptions; the context says which of the two
};

// What a group is taken by: the records are split by it, and each group's numbers stand by themselves.
enum class ColumnContext : std::uint8_t {
  kNone = 0,
  kProtocol = 1,
  kService = 2,      // protocol and well-known pub_port
  kKind = 3,         // service, event, tcp_state and whether the session is continued
  kContinued = 4,    // 1 where an earlier record told the session's beginning: session_start < start_time
  kPktsFromVpc = 5,  // by size, and by service where it is small
  kPktsFromPub = 6,  // likewise
};
inline constexpr std::size_t kContexts = 7;
inline constexpr std::size_t kMaxGroups = 32;

inline constexpr std::uint8_t kByPriIp = 0;
inline constexpr std::uint8_t kByPubIp = 1;

[[nodiscard]] constexpr std::uint32_t context_bit(ColumnContext context) {
  return std::uint32_t{1} << static_cast<unsigned>(context);
}

// Which contexts a column may have. They never go in a circle: what a context is made of is never taken by a
// context that is made of it.
[[nodiscard]] std::uint32_t allowed_contexts(ColumnId column);
// Likewise for ColumnCoding::kByAddress.
[[nodiscard]] bool may_go_by_address(ColumnId column, std::uint8_t key);

// Counts as columns have them: 0 is unknown, all others are one more than they are.
[[nodiscard]] constexpr std::uint64_t count_code(Count count) {
  return count.known() ? count.value() + 1 : 0;
}

[[nodiscard]] constexpr std::uint64_t zigzag(std::uint64_t difference) {
  return (difference << 1) ^ (0 - (difference >> 63));
}
[[nodiscard]] constexpr std::uint64_t unzigzag(std::uint64_t code) {
  return (code >> 1) ^ (0 - (code & 1));
}

// A header of which all that does not depend on the version has been checked.
struct FrameHeader {
  FrameInfo info;
  std::size_t columns = 0;
  std::uint32_t directory_checksum = 0;
};
[[nodiscard]] Result<FrameHeader> parse_frame_header(std::span<const std::byte> bytes);

// Writes the header, checksum included, to the first kFrameHeaderBytes of `frame`.
void store_frame_header(const FrameHeader& header, char* frame);

// Contexts: which group each record belongs to, computed alike by encoder and decoder from columns that go
// before.
// Threads: any.

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
