// The numbers and names of the frame format, shared by its encoder and its decoders. FORMAT.md is for people.
// Shape:  frame  := header directory part*
//         header := magic "NSFr", version u16, header length u16, frame length u32, required features u32,
//                   optional features u32, records u32, first ordinal u64, last ordinal u64, min start i64,
//                   max start i64, min end i64, max end i64, flags u32, parts u16, 0 u16, CRC32C of the
//                   directory u32, CRC32C of the segment's dictionary u32, 0 u32, CRC32C of the header's
//                   bytes before it u32
//         directory := entry*;  entry := length u32, CRC32C of the part u32
//         The parts follow one behind the other, up to the frame's end: head, hosts, runs, models, the
//         nat_ports of each block of rows, then the other columns of each.
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
inline constexpr std::uint16_t kFrameVersion = 2;
inline constexpr std::size_t kDirectoryEntryBytesOf1 = 12;  // of version 1
inline constexpr std::uint32_t kKnownFeatures = 0;          // required features that this program knows
inline constexpr std::size_t kDirectoryEntryBytes = 8;
inline constexpr std::uint32_t kLongSessionsFlag = 1;
inline constexpr std::size_t kMaxTextBytes = std::size_t{64} << 10;  // of a label
inline constexpr std::size_t kMaxTextBytesOfFrame = std::size_t{2}
                                                    << 20;  // of all its vpc_ids; of all its origins

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
inline constexpr std::size_t kParts = 76;
inline constexpr std::size_t kDirectoryChecksum = 80;
inline constexpr std::size_t kPeers = 84;
inline constexpr std::size_t kHeaderChecksum = 92;
}  // namespace header_at

// The numbers of a record. A column that is not in a frame is 0 in all records.
enum class ColumnId : std::uint16_t {
  kOrdinal = 1,  // of a run's first row: less the frame's lowest; else less the one before, less 1
  kOrigin = 2,   // which of the frame's origins
  kVpcId = 3,    // which of its vpc_ids
  kPubIp = 5,    // its place in the segment's dictionary; 0: the frame has it
  kPriPort = 7,  // 0 where it is nat_port; else one more
  kPubPort = 8,
  kProtocol = 10,
  kOutcome = 11,     // event + 4 * tcp_state
  kReason = 12,      // XOR destroyed where event is end
  kEndTime = 13,     // less what the frame's clock says for the ordinal; zigzag
  kStartTime = 14,   // end_time less start_time; where the session is continued: start_time less min start
  kSessionAge = 15,  // start_time less session_start, modulo 2^64; 0 where that is not known
  kNoSessionStart = 16,  // 1 where session_start is not known
  kSeq = 17,
  kPktsFromVpc = 18,   // a count (see count_code())
  kPktsFromPub = 19,   // a count
  kBytesFromVpc = 20,  // quotients and remainders of bytes by packets
  kBytesFromPub = 21,  // likewise
  kHasOrigDst = 22,
  kOrigDstLow = 23,  // the last 64 bits of the address, less those of ::ffff:0.0.0.0
  kOrigDstPort = 24,
  // From here on plain numbers, as record/fields.h has them: Stored::kPlain.
  kZone = 25,
  kMark = 26,
  kEventsLost = 27,  // a count
  // Of flow logs. Further plain numbers come behind these: a column's place never changes.
  kFlow = 28,      // flow * 4 + flow_kind
  kIif = 29,       // 0: none; else one more than which of the vpc_ids' texts
  kOif = 30,       // likewise
  kTcpFlags = 31,  //
  // And what is no field's own.
  kPubHigh = 60,      // where kPubIp is 0: the first 64 bits of the address
  kPubLow = 61,       // and the last, as of orig_dst_ip
  kOrigDstHigh = 62,  // the first 64 bits
};
inline constexpr std::size_t kColumnIds = 63;  // one more than the largest
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
static_assert(kPlainColumns.front() > static_cast<std::uint16_t>(ColumnId::kOrigDstPort) &&
              kPlainColumns.back() < static_cast<std::uint16_t>(ColumnId::kFlow));
template <Field kField>
inline constexpr ColumnId kColumn{kRow<kField>.column};
static_assert(kColumn<Field::kVpcId> == ColumnId::kVpcId && kColumn<Field::kPubPort> == ColumnId::kPubPort &&
              kColumn<Field::kEvent> == ColumnId::kOutcome && kColumn<Field::kSeq> == ColumnId::kSeq &&
              kColumn<Field::kBytesFromPub> == ColumnId::kBytesFromPub);

// What a record's group in a column is taken from: columns that stand before it.
enum class Context : std::uint8_t {
  kNone,
  kFirstOfRun,  // whether the row begins a run
  kOwnPub,      // whether the frame has the pub_ip
  kContinued,   // whether session_age is not 0
  kUsual,       // what the segment's dictionary says that pub_ip is mostly asked for
  kAsked,       // that, and the protocol
  kService,     // protocol and pub_port
  kKind,        // service, outcome and whether the session is continued
  kSize,        // service and pkts_from_vpc
  kReply,       // service and pkts_from_pub
};
inline constexpr std::size_t kContexts = 10;
// Those whose groups the frame lists.
[[nodiscard]] constexpr bool is_listed(Context context) {
  return context >= Context::kAsked;
}

// In the order in which they stand, and are decoded.
struct ColumnPlan {
  ColumnId column;
  Context context = Context::kNone;
};
inline constexpr auto kPlan = [] {
  using enum ColumnId;
  constexpr ColumnPlan kFixed[] = {{kOrdinal, Context::kFirstOfRun},
                                   {kEndTime},
                                   {kPubIp},
                                   {kProtocol, Context::kUsual},
                                   {kPubPort, Context::kAsked},
                                   {kPubHigh, Context::kOwnPub},
                                   {kPubLow, Context::kOwnPub},
                                   {kPriPort},
                                   {kOutcome, Context::kService},
                                   {kReason},
                                   {kSessionAge, Context::kService},
                                   {kNoSessionStart},
                                   {kSeq, Context::kContinued},
                                   {kStartTime, Context::kKind},
                                   {kPktsFromVpc, Context::kKind},
                                   {kPktsFromPub, Context::kSize},
                                   {kBytesFromVpc, Context::kSize},
                                   {kBytesFromPub, Context::kReply},
                                   {kOrigin},
                                   {kVpcId},
                                   {kHasOrigDst},
                                   {kOrigDstHigh},
                                   {kOrigDstLow},
                                   {kOrigDstPort}};
  constexpr ColumnPlan kOfFlows[] = {{kFlow}, {kIif}, {kOif}, {kTcpFlags}};
  std::array<ColumnPlan, std::size(kFixed) + kPlainColumns.size() + std::size(kOfFlows)> plan{};
  std::size_t place = 0;
  for (const ColumnPlan& each : kFixed) plan[place++] = each;
  for (const std::uint16_t column : kPlainColumns)
    plan[place++] = {static_cast<ColumnId>(column), Context::kNone};
  for (const ColumnPlan& each : kOfFlows) plan[place++] = each;
  return plan;
}();

// Rows are coded in blocks, so that a few can be read without the others.
inline constexpr std::size_t kBlockRows = 2048;
[[nodiscard]] constexpr std::size_t blocks_of(std::size_t rows) {
  return (rows + kBlockRows - 1) / kBlockRows;
}

// A model's first byte: its place in kPlan, and whether it has the groups of its context.
inline constexpr std::uint8_t kGroupedModel = 0x80;

// What listed contexts are listed by.
// Shape: groups are below kMaxGroupsOfModel.
[[nodiscard]] inline std::uint16_t asked_key(std::uint8_t usual, std::uint8_t protocol_symbol) {
  return static_cast<std::uint16_t>(usual << 8 | protocol_symbol);
}
[[nodiscard]] inline std::uint16_t service_key(std::uint8_t protocol_symbol, std::uint8_t port_symbol) {
  return static_cast<std::uint16_t>(protocol_symbol << 8 | port_symbol);
}
[[nodiscard]] inline std::uint16_t kind_key(std::uint8_t service, std::uint8_t outcome_symbol,
                                            bool continued) {
  return static_cast<std::uint16_t>(service << 9 | outcome_symbol << 1 | (continued ? 1 : 0));
}
// The most frequent services are kept apart; of a count only about how large it is.
[[nodiscard]] inline std::uint16_t size_key(std::uint8_t service, std::uint64_t count_code) {
  static constexpr std::array<std::uint8_t, 24> kSizes = {0,  1,  2,  3,  4,  5,  6,  7,  8,  8,  9,  9,
                                                          10, 10, 10, 10, 11, 11, 11, 11, 11, 11, 11, 11};
  const unsigned size = count_code < kSizes.size() ? kSizes[count_code]
                        : count_code < 48          ? 12
                        : count_code < 128         ? 13
                                                   : 14;
  return static_cast<std::uint16_t>(std::min<unsigned>(service, 6) << 8 | size);
}

// The parts of a frame.
inline constexpr std::size_t kHeadPart = 0;
inline constexpr std::size_t kHostsPart = 1;
inline constexpr std::size_t kRunsPart = 2;
inline constexpr std::size_t kModelsPart = 3;
inline constexpr std::size_t kFirstPortsPart = 4;  // one for each block, then the blocks
[[nodiscard]] constexpr std::size_t parts_of(std::size_t rows) {
  return kFirstPortsPart + 2 * blocks_of(rows);
}

inline constexpr std::uint64_t kMappedLow = 0xffff'0000'0000U;  // the last 64 bits of ::ffff:0.0.0.0

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
  std::uint16_t version = kFrameVersion;  // or 1, which frame_version_1.h reads: its parts are columns
  std::size_t parts = 0;
  std::uint32_t directory_checksum = 0;
  std::uint32_t peers = 0;  // checksum of the segment's dictionary that it needs; 0: none
};
[[nodiscard]] Result<FrameHeader> parse_frame_header(std::span<const std::byte> bytes);

// Writes the header, checksum included, to the first kFrameHeaderBytes of `frame`.
void store_frame_header(const FrameHeader& header, char* frame);

}  // namespace natsession
