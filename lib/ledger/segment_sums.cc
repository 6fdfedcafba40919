#include "ledger/segment_sums.h"

#include <algorithm>
#include <cstring>

#include <fcntl.h>

#include "ledger/bytes.h"
#include "ledger/crc32c.h"
#include "ledger/frame_layout.h"

namespace natsession {
namespace {

constexpr std::string_view kSumsMagic = "NSLSUM\r\n";
constexpr std::uint16_t kGapSection = 0;

// header: version, length and required features as a segment's
constexpr std::size_t kSumsFirstAt = 16;
constexpr std::size_t kSealAt = 24;
constexpr std::size_t kSectionsAt = 28;
constexpr std::size_t kDirectoryChecksumAt = 32;
constexpr std::size_t kSumsChecksumAt = 60;

// entry of the directory
constexpr std::size_t kSectionChecksumAt = 4;
constexpr std::size_t kSectionOffsetAt = 8;
constexpr std::size_t kSectionLengthAt = 16;

// A section that says it is longer is not read.
constexpr std::uint64_t kMaxSectionBytes = std::uint64_t{1} << 30;

// The columns of a part behind the periods; `get` and `set` are of an entry and the one before.
struct SumsColumn {
  std::uint64_t (*get)(const SumsEntry& entry, const SumsEntry& before);
  void (*set)(std::uint64_t number, const SumsEntry& before, SumsEntry& entry);
};

template <std::uint64_t Sums::*kSum>
constexpr SumsColumn plain_column() {
  return {[](const SumsEntry& entry, const SumsEntry&) { return entry.sums.*kSum; },
          [](std::uint64_t number, const SumsEntry&, SumsEntry& entry) { entry.sums.*kSum = number; }};
}

constexpr std::array<SumsColumn, 10> kColumns{
    {{[](const SumsEntry& entry, const SumsEntry& before) {
        return static_cast<std::uint64_t>(entry.period) - static_cast<std::uint64_t>(before.period);
      },
      [](std::uint64_t number, const SumsEntry& before, SumsEntry& entry) {
        entry.period = static_cast<std::int64_t>(static_cast<std::uint64_t>(before.period) + number);
      }},
     {[](const SumsEntry& entry, const SumsEntry& before) { return entry.key.high - before.key.high; },
      [](std::uint64_t number, const SumsEntry& before, SumsEntry& entry) {
        entry.key.high = before.key.high + number;
      }},
     {[](const SumsEntry& entry, const SumsEntry& before) {
        return entry.key.low - (entry.key.high == before.key.high ? before.key.low : 0);
      },
      [](std::uint64_t number, const SumsEntry& before, SumsEntry& entry) {
        entry.key.low = number + (entry.key.high == before.key.high ? before.key.low : 0);
      }},
     plain_column<&Sums::sessions>(),
     {[](const SumsEntry& entry, const SumsEntry&) {
        return zigzag(entry.sums.records - entry.sums.sessions);
      },
      [](std::uint64_t number, const SumsEntry&, SumsEntry& entry) {
        entry.sums.records = entry.sums.sessions + unzigzag(number);
      }},
     plain_column<&Sums::unknown>(),
     plain_column<&Sums::pkts_from_vpc>(),
     plain_column<&Sums::bytes_from_vpc>(),
     plain_column<&Sums::pkts_from_pub>(),
     plain_column<&Sums::bytes_from_pub>()}};

std::uint32_t checksum_of(std::string_view bytes) {
  return crc32c(std::as_bytes(std::span(bytes)));
}

// Parts of a section, one behind the other.
class PartReader {
 public:
  explicit PartReader(std::span<const std::byte> section) : in_(section) {}

  [[nodiscard]] bool at_end() const { return in_.left() == 0; }
  // False if the bytes are no part.
  bool next(std::vector<SumsEntry>& entries) {
    const std::uint64_t count = in_.varint();
    if (!in_.ok() || count == 0 || count > kMaxFrameRecords) return false;
    entries.assign(static_cast<std::size_t>(count), {});
    column_.resize(entries.size());
    SumsEntry before;
    before.period = static_cast<std::int64_t>(in_.varint());
    for (const SumsColumn& column : kColumns) {
      if (!read_numbers()) return false;
      for (std::size_t i = 0; i < entries.size(); ++i)
        column.set(column_[i], i == 0 ? before : entries[i - 1], entries[i]);
    }
    return in_.ok();
  }

 private:
  // A byte says whether there is anything but zeros.
  bool read_numbers() {
    const std::uint8_t present = in_.u8();
    if (present > 1) return false;
    std::fill(column_.begin(), column_.end(), 0);
    if (present == 0) return in_.ok();
    symbols_.resize(column_.size());
    if (!numbers_.load(in_, 1)) return false;
    const auto block = NumberDecoder::take_block(in_);
    return in_.ok() && numbers_.get_block(block, {}, {}, column_, symbols_);
  }

  ByteReader in_;
  NumberDecoder numbers_;
  std::vector<std::uint64_t> column_;
  std::vector<std::uint8_t> symbols_;
};

}  // namespace

void SumsPacker::append(std::span<const SumsEntry> entries, std::string& section) {
  while (!entries.empty()) {
    const auto part = entries.first(std::min(entries.size(), kMaxFrameRecords));
    append_part(part, section);
    entries = entries.subspan(part.size());
  }
}

void SumsPacker::append_part(std::span<const SumsEntry> entries, std::string& section) {
  SumsEntry before;
  before.period = entries.front().period;
  append_varint(entries.size(), section);
  append_varint(static_cast<std::uint64_t>(before.period), section);
  column_.resize(entries.size());
  for (const SumsColumn& column : kColumns) {
    for (std::size_t i = 0; i < entries.size(); ++i)
      column_[i] = column.get(entries[i], i == 0 ? before : entries[i - 1]);
    numbers_.begin(column_, {}, 1, /*thorough=*/true);
    section.push_back(numbers_.empty() ? '\0' : '\1');
    if (numbers_.empty()) continue;
    numbers_.append_model(section);
    numbers_.append_block(0, column_.size(), {}, {}, section);
  }
}

void SumsPacker::append_gaps(std::span<const Ordinal> ordinals, std::string& section) {
  Ordinal before = 0;
  for (const Ordinal ordinal : ordinals) {
    append_varint(ordinal - before, section);
    before = ordinal;
  }
}

std::string encode_sums(const SumsMark& mark, const std::string& gaps,
                        std::span<const SumsSection> sections) {
  struct Part {
    std::uint16_t kind;
    std::string_view bytes;
  };
  std::vector<Part> parts{{kGapSection, gaps}};
  for (const SumsSection& section : sections)
    parts.push_back({static_cast<std::uint16_t>(section.kind), section.bytes});

  std::vector<std::byte> bytes(kSumsHeaderBytes + parts.size() * kSumsEntryBytes);
  std::uint64_t offset = bytes.size();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto entry = std::span(bytes).subspan(kSumsHeaderBytes + i * kSumsEntryBytes, kSumsEntryBytes);
    put_le(entry, 0, parts[i].kind);
    put_le(entry, kSectionChecksumAt, checksum_of(parts[i].bytes));
    put_le(entry, kSectionOffsetAt, offset);
    put_le(entry, kSectionLengthAt, std::uint64_t{parts[i].bytes.size()});
    offset += parts[i].bytes.size();
  }
  const auto header = std::span(bytes).first(kSumsHeaderBytes);
  std::memcpy(header.data(), kSumsMagic.data(), kSumsMagic.size());
  put_le(header, kVersionAt, kSumsVersion);
  put_le(header, kLengthAt, static_cast<std::uint16_t>(kSumsHeaderBytes));
  put_le(header, kSumsFirstAt, mark.first);
  put_le(header, kSealAt, mark.seal);
  put_le(header, kSectionsAt, static_cast<std::uint32_t>(parts.size()));
  put_le(header, kDirectoryChecksumAt, crc32c(std::span(bytes).subspan(kSumsHeaderBytes)));
  put_le(header, kSumsChecksumAt, crc32c(header.first(kSumsChecksumAt)));

  std::string file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Part& part : parts) file += part.bytes;
  return file;
}

Result<SegmentSums> SegmentSums::open(const LedgerDirectory& directory, const SumsMark& mark) {
  const std::string name = SegmentName{mark.first, true}.sums();
  auto fd = directory.open_file(name, O_RDONLY);
  if (!fd && fd.error().kind == ErrorKind::kUnavailable)
    return Error{ErrorKind::kMalformed, directory.path_of(name) + ": there is no such file"};
  if (!fd) return fd.error();
  SegmentSums sums;
  sums.file_ = std::make_shared<const SegmentFile>(std::move(*fd), SegmentName{mark.first, true},
                                                   directory.path_of(name));
  const auto size = sums.file_->size();
  if (!size) return size.error();

  // What there is of header and directory in one go.
  std::vector<std::byte> bytes(kSumsHeaderBytes + kMaxSumsSections * kSumsEntryBytes);
  const auto count = sums.file_->read_at(0, bytes);
  if (!count) return count.error();
  bytes.resize(*count);
  if (bytes.size() < kSumsHeaderBytes || std::memcmp(bytes.data(), kSumsMagic.data(), kSumsMagic.size()) != 0)
    return sums.damaged("it has no header");
  const auto header = std::span<const std::byte>(bytes).first(kSumsHeaderBytes);
  if (get_le<std::uint32_t>(header, kSumsChecksumAt) != crc32c(header.first(kSumsChecksumAt)))
    return sums.damaged("the header's checksum is wrong");
  const auto version = get_le<std::uint16_t>(header, kVersionAt);
  const auto required = get_le<std::uint32_t>(header, kRequiredAt);
  if (version > kSumsVersion || required != 0) {
    return Error{ErrorKind::kUnavailable, sums.file_->path() + ": it is of version " +
                                              std::to_string(version) + " with features " +
                                              std::to_string(required) + ": a newer program wrote it"};
  }
  if (version < kSumsVersion) return sums.damaged("it is of an earlier version");
  const SumsMark found{get_le<std::uint64_t>(header, kSumsFirstAt), get_le<std::uint32_t>(header, kSealAt)};
  if (found != mark) return sums.damaged("it is of another form of the segment");

  const auto sections = get_le<std::uint32_t>(header, kSectionsAt);
  if (sections > kMaxSumsSections || bytes.size() < kSumsHeaderBytes + sections * kSumsEntryBytes)
    return sums.damaged("it has no directory");
  const auto entries =
      std::span<const std::byte>(bytes).subspan(kSumsHeaderBytes, sections * kSumsEntryBytes);
  if (get_le<std::uint32_t>(header, kDirectoryChecksumAt) != crc32c(entries))
    return sums.damaged("the directory's checksum is wrong");
  std::uint64_t behind = kSumsHeaderBytes + entries.size();
  for (std::size_t i = 0; i < sections; ++i) {
    const auto entry = entries.subspan(i * kSumsEntryBytes, kSumsEntryBytes);
    const Section section{get_le<std::uint16_t>(entry, 0), get_le<std::uint32_t>(entry, kSectionChecksumAt),
                          get_le<std::uint64_t>(entry, kSectionOffsetAt),
                          get_le<std::uint64_t>(entry, kSectionLengthAt)};
    if (section.offset != behind || section.length > kMaxSectionBytes || section.length > *size - behind)
      return sums.damaged("a section lies outside it");
    behind += section.length;
    sums.sections_.push_back(section);
  }
  if (behind != *size) return sums.damaged("something stands behind its sections");

  for (const Section& section : sums.sections_) {
    if (section.kind != kGapSection) continue;
    const auto content = sums.bytes_of(section);
    if (!content) return content.error();
    ByteReader in(*content);
    Ordinal ordinal = 0;
    while (in.left() > 0) {
      ordinal += in.varint();
      if (!in.ok()) return sums.damaged("its gaps are impossible");
      sums.gaps_.push_back(ordinal);
    }
  }
  return sums;
}

const SegmentSums::Section* SegmentSums::section_of(SumsKind kind) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(), [&](const Section& section) {
    return section.kind == static_cast<std::uint16_t>(kind);
  });
  return found == sections_.end() ? nullptr : &*found;
}

Result<std::vector<std::byte>> SegmentSums::bytes_of(const Section& section) const {
  std::vector<std::byte> bytes(static_cast<std::size_t>(section.length));
  const auto count = file_->read_at(section.offset, bytes);
  if (!count) return count.error();
  if (*count != bytes.size() || crc32c(bytes) != section.checksum)
    return damaged("the checksum of a section is wrong");
  return bytes;
}

Result<void> SegmentSums::read(SumsKind kind, const Use& use) const {
  const Section* const section = section_of(kind);
  if (section == nullptr) return damaged("it has no such sums");
  const auto bytes = bytes_of(*section);
  if (!bytes) return bytes.error();
  PartReader parts(*bytes);
  std::vector<SumsEntry> entries;
  while (!parts.at_end()) {
    if (!parts.next(entries)) return damaged("a section is impossible");
    use(entries);
  }
  return {};
}

Result<void> SegmentSums::verify() const {
  for (const Section& section : sections_) {
    if (const auto bytes = bytes_of(section); !bytes) return bytes.error();
  }
  return {};
}

Error SegmentSums::damaged(const std::string& why) const {
  return {ErrorKind::kMalformed, file_->path() + ": " + why};
}

}  // namespace natsession
