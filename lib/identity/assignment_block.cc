#include "identity/assignment_block.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>

#include <zstd.h>

#include "ledger/bytes.h"
#include "ledger/crc32c.h"

namespace natsession {
namespace {

constexpr std::uint32_t kBlockMagic = 0x6249534e;  // "NSIb"
constexpr std::uint16_t kBlockVersion = 1;
constexpr std::size_t kBlockVersionAt = 4;
constexpr std::size_t kBlockHeaderLengthAt = 6;
constexpr std::size_t kBlockBytesAt = 8;
constexpr std::size_t kBlockRequiredAt = 12;
constexpr std::size_t kBlockAssignmentsAt = 16;
constexpr std::size_t kBlockSpansAt = 20;
constexpr std::size_t kBlockHashesAt = 24;
constexpr std::size_t kBlockUnpackedAt = 28;
constexpr std::size_t kBlockEarliestAt = 32;
constexpr std::size_t kBlockLatestAt = 40;
constexpr std::size_t kBlockBodyChecksumAt = 48;
constexpr std::size_t kBlockChecksumAt = 60;

// flags of an assignment
constexpr unsigned kKindMask = 7;
constexpr unsigned kIsOpen = 8;
constexpr unsigned kIsV4 = 16;
constexpr unsigned kHasEarliest = 32;
constexpr unsigned kHasLatest = 64;
constexpr unsigned kHasGroup = 128;

std::uint64_t block_ms(UnixMs time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}
UnixMs block_time(std::uint64_t ms) {
  return UnixMs(std::chrono::milliseconds(static_cast<std::int64_t>(ms)));
}
// d >= 0 is 2d, d < 0 is -2d - 1.
std::uint64_t block_zigzag(std::uint64_t difference) {
  return (difference << 1U) ^ (0 - (difference >> 63U));
}
std::uint64_t block_unzigzag(std::uint64_t value) {
  return (value >> 1U) ^ (0 - (value & 1U));
}

bool is_within_block(UnixMs time) {
  return within_block(time) == time;
}

std::span<const std::byte> block_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Error malformed_block(const char* what) {
  return {ErrorKind::kMalformed, std::string("a block of assignments: ") + what};
}

}  // namespace

AddressAssignment AssignmentView::copy() const {
  return {std::string(source),
          std::string(netns),
          prefix,
          kind,
          std::string(subscriber),
          std::string(mac),
          std::string(host),
          std::string(id),
          std::string(group),
          from,
          from_earliest,
          until,
          until_latest};
}

AssignmentView view_of(const AddressAssignment& assignment) {
  const AddressAssignment& a = assignment;
  return {a.source, a.netns, a.prefix, a.kind,          a.subscriber, a.mac,         a.host,
          a.id,     a.group, a.from,   a.from_earliest, a.until,      a.until_latest};
}

std::strong_ordering compare_names(const AssignmentView& a, const AssignmentView& b) {
  if (const auto order = a.prefix <=> b.prefix; order != 0) return order;
  if (const auto order = a.from <=> b.from; order != 0) return order;
  if (const auto order = a.source <=> b.source; order != 0) return order;
  if (const auto order = a.netns <=> b.netns; order != 0) return order;
  return a.id <=> b.id;
}

std::uint32_t prefix_hash(const Prefix& prefix) {
  std::array<std::byte, 17> bytes{};
  std::memcpy(bytes.data(), prefix.lowest().bytes().data(), 16);
  bytes[16] = static_cast<std::byte>(prefix.length());
  return crc32c(bytes);
}

std::optional<BlockHeader> read_block_header(std::span<const std::byte> bytes) {
  if (bytes.size() < kBlockHeaderBytes || get_le<std::uint32_t>(bytes, 0) != kBlockMagic) return std::nullopt;
  if (get_le<std::uint32_t>(bytes, kBlockChecksumAt) != crc32c(bytes.first(kBlockChecksumAt)))
    return std::nullopt;
  BlockHeader header;
  header.bytes = get_le<std::uint32_t>(bytes, kBlockBytesAt);
  header.assignments = get_le<std::uint32_t>(bytes, kBlockAssignmentsAt);
  header.spans = get_le<std::uint32_t>(bytes, kBlockSpansAt);
  header.hashes = get_le<std::uint32_t>(bytes, kBlockHashesAt);
  header.unpacked = get_le<std::uint32_t>(bytes, kBlockUnpackedAt);
  header.earliest = get_time(bytes, kBlockEarliestAt);
  header.latest = get_time(bytes, kBlockLatestAt);
  header.checksum = get_le<std::uint32_t>(bytes, kBlockBodyChecksumAt);
  header.newer = get_le<std::uint16_t>(bytes, kBlockVersionAt) > kBlockVersion ||
                 get_le<std::uint32_t>(bytes, kBlockRequiredAt) != 0;
  if (header.bytes > kMaxBlockBytes) return std::nullopt;
  if (!header.newer && (get_le<std::uint16_t>(bytes, kBlockHeaderLengthAt) != kBlockHeaderBytes ||
                        header.unpacked > kMaxBlockBytes || header.hashes > header.bytes / 4)) {
    return std::nullopt;
  }
  return header;
}

void BlockEncoder::grow() {
  slots_.assign(std::max<std::size_t>(256, slots_.size() * 2), 0);
  for (std::size_t place = 0; place < known_.size(); ++place) {
    const Text& one = known_[place];
    std::size_t slot = std::hash<std::string_view>()(std::string_view(texts_).substr(one.at, one.length));
    while (slots_[slot &= slots_.size() - 1] != 0) ++slot;
    slots_[slot] = static_cast<std::uint32_t>(place + 1);
  }
}

std::uint32_t BlockEncoder::text(std::string_view text) {
  text = text.substr(0, kMaxBlockText);
  if (known_.size() * 2 >= slots_.size()) grow();
  std::size_t slot = std::hash<std::string_view>()(text);
  for (;; ++slot) {
    slot &= slots_.size() - 1;
    const std::uint32_t place = slots_[slot];
    if (place == 0) break;
    const Text& one = known_[place - 1];
    if (std::string_view(texts_).substr(one.at, one.length) == text) return place - 1;
  }
  known_.push_back({static_cast<std::uint32_t>(texts_.size()), static_cast<std::uint32_t>(text.size())});
  texts_ += text;
  slots_[slot] = static_cast<std::uint32_t>(known_.size());
  return static_cast<std::uint32_t>(known_.size() - 1);
}

void BlockEncoder::take_time(UnixMs time) {
  earliest_ = std::min(earliest_, time);
  latest_ = std::max(latest_, time);
}

void BlockEncoder::add(const AssignmentView& a) {
  const unsigned length = a.prefix.length();
  const IpAddress address = a.prefix.lowest();
  const bool v4 = address.is_v4();
  // What a caller mixed up stays within what the format says: a reader would take it for damage.
  const UnixMs from = within_block(a.from);
  const UnixMs from_earliest = std::min(within_block(a.from_earliest), from);
  const UnixMs until = within_block(a.until.value_or(from));
  const UnixMs latest = std::max(within_block(a.until_latest.value_or(until)), until);
  unsigned flags = static_cast<unsigned>(a.kind) & kKindMask;
  if (!a.until) flags |= kIsOpen;
  if (v4) flags |= kIsV4;
  if (from_earliest != from) flags |= kHasEarliest;
  if (a.until && latest != until) flags |= kHasLatest;
  if (!a.group.empty()) flags |= kHasGroup;
  rows_.push_back(static_cast<char>(flags));
  rows_.push_back(static_cast<char>(length));
  const auto& bytes = address.bytes();
  const std::size_t count = (length + 7) / 8;
  rows_.append(reinterpret_cast<const char*>(bytes.data()) + (v4 ? 12 : 0), count);
  for (const std::string_view one : {a.source, a.netns, a.subscriber, a.mac, a.host, a.id})
    append_varint(text(one), rows_);
  if (!a.group.empty()) append_varint(text(a.group), rows_);
  append_varint(block_zigzag(block_ms(from)), rows_);
  if (from_earliest != from) append_varint(block_ms(from) - block_ms(from_earliest), rows_);
  take_time(from_earliest);
  take_time(from);
  if (a.until) {
    append_varint(block_zigzag(block_ms(until) - block_ms(from)), rows_);
    take_time(until);
    if (latest != until) append_varint(block_ms(latest) - block_ms(until), rows_);
    take_time(latest);
  }
  hashes_.push_back(prefix_hash(a.prefix));
  ++assignments_;
}

void BlockEncoder::add(const SourceSpan& span) {
  const UnixMs from = within_block(span.from);
  const UnixMs until = std::max(within_block(span.until), from);
  append_varint(text(span.source), span_rows_);
  append_varint(block_zigzag(block_ms(from)), span_rows_);
  append_varint(block_ms(until) - block_ms(from), span_rows_);
  take_time(from);
  take_time(until);
  ++spans_;
}

void BlockEncoder::finish(bool hashed, int level, std::string& out) {
  std::string raw;
  raw.reserve(size() + 4 * known_.size() + 16);
  append_varint(known_.size(), raw);
  for (const Text& one : known_) {
    append_varint(one.length, raw);
    raw.append(texts_, one.at, one.length);
  }
  raw += span_rows_;
  raw += rows_;
  const std::size_t at = out.size();
  out.append(kBlockHeaderBytes, '\0');
  if (hashed) {
    for (const std::uint32_t hash : hashes_) append_little_endian(hash, out);
  }
  const std::size_t packed_at = out.size();
  out.resize(packed_at + ZSTD_compressBound(raw.size()));
  const std::size_t packed =
      ZSTD_compress(out.data() + packed_at, out.size() - packed_at, raw.data(), raw.size(), level);
  // It fails only where there is no memory: then there is a block that nobody can read, and says so.
  out.resize(packed_at + (ZSTD_isError(packed) != 0 ? 0 : packed));

  const std::span<std::byte> header(reinterpret_cast<std::byte*>(out.data()) + at, kBlockHeaderBytes);
  const auto body = block_bytes(out).subspan(at + kBlockHeaderBytes);
  put_le(header, 0, kBlockMagic);
  put_le(header, kBlockVersionAt, kBlockVersion);
  put_le(header, kBlockHeaderLengthAt, static_cast<std::uint16_t>(kBlockHeaderBytes));
  put_le(header, kBlockBytesAt, static_cast<std::uint32_t>(body.size()));
  put_le(header, kBlockAssignmentsAt, static_cast<std::uint32_t>(assignments_));
  put_le(header, kBlockSpansAt, static_cast<std::uint32_t>(spans_));
  put_le(header, kBlockHashesAt, static_cast<std::uint32_t>(hashed ? hashes_.size() : 0));
  put_le(header, kBlockUnpackedAt, static_cast<std::uint32_t>(raw.size()));
  put_time(header, kBlockEarliestAt, earliest_);
  put_time(header, kBlockLatestAt, latest_);
  put_le(header, kBlockBodyChecksumAt, crc32c(body));
  put_le(header, kBlockChecksumAt, crc32c(header.first(kBlockChecksumAt)));

  texts_.clear();
  known_.clear();
  std::fill(slots_.begin(), slots_.end(), 0);
  rows_.clear();
  span_rows_.clear();
  hashes_.clear();
  assignments_ = spans_ = 0;
  earliest_ = UnixMs::max();
  latest_ = UnixMs::min();
}

namespace {

// Reads one assignment; false if it is none.
bool read_assignment(ByteReader& reader, const std::vector<std::string_view>& texts, AssignmentView& a) {
  const unsigned flags = reader.u8();
  const unsigned length = reader.u8();
  const bool v4 = (flags & kIsV4) != 0;
  if (length > (v4 ? 32U : 128U)) return false;
  const auto bytes = reader.take((length + 7) / 8);
  if (!reader.ok()) return false;
  if (v4) {
    std::uint32_t address = 0;
    std::memcpy(&address, bytes.data(), bytes.size());
    a.prefix = Prefix::of(IpAddress::from_v4(address), length);
  } else {
    std::array<std::uint8_t, 16> address{};
    if (!bytes.empty()) std::memcpy(address.data(), bytes.data(), bytes.size());
    const IpAddress whole = IpAddress::from_v6(address);
    if (whole.is_v4()) return false;  // it would read back as another
    a.prefix = Prefix::of(whole, length);
  }
  const unsigned kind = flags & kKindMask;
  a.kind = kind > static_cast<unsigned>(AssignmentKind::kOther) ? AssignmentKind::kOther
                                                                : static_cast<AssignmentKind>(kind);
  a.group = {};
  for (std::string_view* const one : {&a.source, &a.netns, &a.subscriber, &a.mac, &a.host, &a.id, &a.group}) {
    if (one == &a.group && (flags & kHasGroup) == 0) continue;
    const std::uint64_t place = reader.varint();
    if (place >= texts.size()) return false;
    *one = texts[static_cast<std::size_t>(place)];
  }
  const std::uint64_t from = block_unzigzag(reader.varint());
  const std::uint64_t before = (flags & kHasEarliest) != 0 ? reader.varint() : 0;
  a.from = block_time(from);
  a.from_earliest = block_time(from - before);
  a.until = a.until_latest = std::nullopt;
  if ((flags & kIsOpen) == 0) {
    const std::uint64_t until = from + block_unzigzag(reader.varint());
    const std::uint64_t after = (flags & kHasLatest) != 0 ? reader.varint() : 0;
    a.until = block_time(until);
    a.until_latest = block_time(until + after);
  }
  return reader.ok() && is_within_block(a.from) && is_within_block(a.from_earliest) &&
         a.from_earliest <= a.from &&
         (!a.until ||
          (is_within_block(*a.until) && is_within_block(*a.until_latest) && *a.until_latest >= *a.until));
}

}  // namespace

Result<void> AssignmentBlock::decode(const BlockHeader& header, std::span<const std::byte> body,
                                     std::string_view having) {
  if (header.newer) return malformed_block("a newer program wrote it");
  if (body.size() != header.bytes || crc32c(body) != header.checksum)
    return malformed_block("its checksum is wrong");
  const auto packed = body.subspan(std::size_t{header.hashes} * 4);
  std::vector<char> raw(header.unpacked);
  const std::size_t size = ZSTD_decompress(raw.data(), raw.size(), packed.data(), packed.size());
  if (ZSTD_isError(size) != 0 || size != raw.size()) return malformed_block("it cannot be unpacked");

  ByteReader reader(std::as_bytes(std::span(raw)));
  const std::uint64_t count = reader.varint();
  if (count > reader.left()) return malformed_block("more texts than it has room for");
  std::vector<std::string_view> texts;
  texts.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto text = reader.take(reader.varint());
    if (!reader.ok() || text.size() > kMaxBlockText) return malformed_block("a text runs over its end");
    texts.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
  }
  // A span or an assignment has eight bytes or so; what claims more is not given room.
  if (header.spans > reader.left() || header.assignments > reader.left())
    return malformed_block("more rows than it has room for");
  std::vector<SourceSpan> spans;
  spans.reserve(header.spans);
  for (std::uint32_t i = 0; i < header.spans; ++i) {
    const std::uint64_t source = reader.varint();
    const std::uint64_t from = block_unzigzag(reader.varint());
    const std::uint64_t length = reader.varint();
    if (!reader.ok() || source >= texts.size() || block_time(from + length) < block_time(from) ||
        !is_within_block(block_time(from)) || !is_within_block(block_time(from + length)))
      return malformed_block("a span is none");
    spans.push_back(
        {std::string(texts[static_cast<std::size_t>(source)]), block_time(from), block_time(from + length)});
  }
  const bool left_out =
      !having.empty() && std::string_view(raw.data(), raw.size()).find(having) == std::string_view::npos;
  std::vector<AssignmentView> assignments(left_out ? 0 : header.assignments);
  for (AssignmentView& one : assignments) {
    if (!read_assignment(reader, texts, one)) return malformed_block("an assignment is none");
  }
  if (!left_out && reader.left() != 0) return malformed_block("something stands behind its rows");
  bytes_ = std::move(raw);  // its place stays: the views hold
  assignments_ = std::move(assignments);
  spans_ = std::move(spans);
  return {};
}

std::uint32_t block_hash_at(std::span<const std::byte> body, std::size_t index) {
  return get_le<std::uint32_t>(body, index * 4);
}

}  // namespace natsession
