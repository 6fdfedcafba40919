#include "ledger/frame_version_1.h"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <zstd.h>

#include "ledger/address_halves.h"
#include "ledger/bytes.h"
#include "ledger/crc32c.h"
#include "ledger/frame_encoder.h"
#include "ledger/frame_layout.h"
#include "ledger/number_coding.h"
#include "record/fields.h"
#include "record/labels.h"

namespace natsession {
namespace {

constexpr std::size_t kColumns = 28;  // one more than the largest column
constexpr std::size_t kGroups = 32;
constexpr unsigned kMaxDepth = 4;  // of what stands in one another
constexpr Halves kMapped{0, kMappedLow};

// By their numbers in the directory.
enum Column : std::uint8_t {
  kOrdinal1 = 1,
  kOrigin1,
  kVpcId1,
  kPriIp1,
  kPubIp1,
  kNatIp1,
  kPriPort1,
  kPubPort1,
  kNatPort1,
  kProtocol1,
  kOutcome1,
  kReason1,
  kEndTime1,
  kStartTime1,
  kSessionAge1,
  kNoSessionStart1,
  kSeq1,
  kPktsFromVpc1,
  kPktsFromPub1,
  kBytesFromVpc1,
  kBytesFromPub1,
  kHasOrigDst1,
  kOrigDstIp1,
  kOrigDstPort1,
  kZone1,
  kMark1,
  kEventsLost1,
};
static_assert(kEventsLost1 + 1 == kColumns);

enum class Grouping : std::uint8_t {
  kNone,
  kProtocol,
  kService,
  kKind,
  kContinued,
  kPktsFromVpc,
  kPktsFromPub
};

// Reads numbers, blocks and what is made of them. All return false where the bytes are not that.
class Reader {
 public:
  bool numbers(ByteReader& in, std::span<std::uint64_t> out, unsigned depth = 0) {
    if (out.empty()) return true;
    if (depth > kMaxDepth) return false;
    switch (in.u8()) {
      case 0:
        std::fill(out.begin(), out.end(), in.varint());
        return in.ok();
      case 1:
        return packed(in, out);
      case 2:
        return planes(in, out);
      case 3:
        return buckets(in, out);
      case 4: {
        std::fill(out.begin(), out.end(), in.varint());
        return exceptions(in, out, depth + 1);
      }
      case 5:
        return dictionary(in, out, depth + 1);
      default:
        return false;
    }
  }

  // Where others stand than usual: behind gaps.
  bool exceptions(ByteReader& in, std::span<std::uint64_t> out, unsigned depth = 0) {
    const std::uint64_t count = in.varint();
    if (!in.ok() || count > out.size()) return false;
    std::vector<std::uint64_t> gaps(static_cast<std::size_t>(count));
    std::vector<std::uint64_t> values(gaps.size());
    if (!numbers(in, gaps, depth) || !numbers(in, values, depth)) return false;
    std::size_t at = 0;
    for (std::size_t i = 0; i < gaps.size(); ++i) {
      if (gaps[i] >= out.size() - at) return false;
      at += static_cast<std::size_t>(gaps[i]);
      out[at++] = values[i];
    }
    return true;
  }

  bool block(ByteReader& in, std::span<std::uint8_t> out) {
    switch (in.u8()) {
      case 0: {
        const auto bytes = in.take(out.size());
        if (!in.ok()) return false;
        std::memcpy(out.data(), bytes.data(), bytes.size());
        return true;
      }
      case 1:
        std::fill(out.begin(), out.end(), in.u8());
        return in.ok();
      case 2: {
        const auto bytes = in.take(in.varint());
        // Into a buffer of known size: zstd allocates no window, whatever its frame claims.
        return in.ok() && zstd_ != nullptr &&
               ZSTD_decompressDCtx(zstd_.get(), out.data(), out.size(), bytes.data(), bytes.size()) ==
                   out.size();
      }
      default:
        return false;
    }
  }

  // A list of addresses, each against another one.
  bool addresses(ByteReader& in, std::size_t count, bool ranked, std::vector<IpAddress>& list) {
    std::vector<std::uint64_t> highs(count);
    std::vector<std::uint64_t> lows(count);
    if (!numbers(in, highs) || !numbers(in, lows)) return false;
    Halves before = kMapped;
    for (std::size_t place = 0; place < count; ++place) {
      if (!ranked || (place & (place - 1)) == 0) before = kMapped;
      Halves now{before.high + highs[place], lows[place]};
      if (now.high == before.high) now.low += before.low;
      list.push_back(address_of(now));
      before = now;
    }
    return true;
  }

  bool texts(ByteReader& in, std::vector<std::string>& out) {
    const std::uint64_t count = in.varint();
    if (!in.ok() || count == 0 || count > 2 * kMaxFrameRecords) return false;
    std::vector<std::uint64_t> lengths(static_cast<std::size_t>(count));
    if (!numbers(in, lengths)) return false;
    std::size_t total = 0;
    for (const std::uint64_t length : lengths) {
      if (length > kMaxTextBytes) return false;
      total += static_cast<std::size_t>(length);
    }
    if (total > kMaxTextBytesOfFrame) return false;
    std::vector<std::uint8_t> bytes(total);
    if (total != 0 && !block(in, bytes)) return false;
    auto at = bytes.begin();
    for (const std::uint64_t length : lengths) {
      out.emplace_back(at, at + static_cast<std::ptrdiff_t>(length));
      at += static_cast<std::ptrdiff_t>(length);
    }
    return true;
  }

 private:
  bool packed(ByteReader& in, std::span<std::uint64_t> out) {
    const unsigned width = in.u8();
    const std::uint64_t base = in.varint();
    if (width > 64) return false;
    const auto bytes = in.take(bytes_for_bits(std::uint64_t{width} * out.size()));
    if (!in.ok()) return false;
    BitReader bits(bytes);
    for (std::uint64_t& number : out) number = base + bits.get(width);
    return true;
  }

  bool planes(ByteReader& in, std::span<std::uint64_t> out) {
    const unsigned width = in.u8();
    const std::uint64_t base = in.varint();
    if (!in.ok() || width == 0 || width > 8) return false;
    std::fill(out.begin(), out.end(), base);
    std::vector<std::uint8_t> plane(out.size());
    for (unsigned i = 0; i < width; ++i) {
      if (!block(in, plane)) return false;
      for (std::size_t row = 0; row < out.size(); ++row) out[row] += std::uint64_t{plane[row]} << (8 * i);
    }
    return true;
  }

  bool buckets(ByteReader& in, std::span<std::uint64_t> out) {
    const unsigned m = in.u8();
    const std::uint64_t base = in.varint();
    if (!in.ok() || m > 7) return false;
    std::vector<std::uint8_t> symbols(out.size());
    if (!block(in, symbols)) return false;
    const auto further = [m](unsigned symbol) { return symbol < (2U << m) ? 0 : (symbol >> m) - 1; };
    std::uint64_t all = 0;
    for (const unsigned symbol : symbols) {
      if (further(symbol) + m >= 64) return false;
      all += further(symbol);
    }
    const auto bytes = in.take(bytes_for_bits(all));
    if (!in.ok()) return false;
    BitReader bits(bytes);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const unsigned symbol = symbols[i];
      const std::uint64_t head = symbol < (2U << m) ? symbol : (1U << m) | (symbol & ((1U << m) - 1));
      out[i] = base + (head << further(symbol)) + bits.get(further(symbol));
    }
    return true;
  }

  bool dictionary(ByteReader& in, std::span<std::uint64_t> out, unsigned depth) {
    const std::uint64_t count = in.varint();
    if (!in.ok() || count == 0 || count > kMaxFrameRecords) return false;
    std::vector<std::uint64_t> values(static_cast<std::size_t>(count));
    if (!numbers(in, values, depth) || !numbers(in, out, depth)) return false;
    for (std::uint64_t& number : out) {
      if (number >= count) return false;
      number = values[static_cast<std::size_t>(number)];
    }
    return true;
  }

  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> zstd_{ZSTD_createDCtx()};
};

// What contexts are made of. The ports are those that this version named.

std::uint8_t protocol_of(std::uint64_t protocol) {
  return protocol == 6 ? 0 : protocol == 17 ? 1 : protocol == 1 || protocol == 58 ? 2 : 3;
}

std::uint8_t service_of(std::uint64_t protocol, std::uint64_t port) {
  const bool low = port < 1024;
  switch (protocol_of(protocol)) {
    case 0:
      return port == 443 ? 0 : port == 80 ? 1 : port == 53 || port == 853 ? 2 : low ? 3 : 4;
    case 1:
      return port == 443 ? 5 : port == 53 ? 6 : port == 123 ? 7 : low ? 8 : 9;
    case 2:
      return 10;
    default:
      return 11;
  }
}

std::uint8_t size_of(std::uint64_t code, std::uint8_t service) {
  const unsigned size = code < 4    ? static_cast<unsigned>(code)
                        : code < 6  ? 4
                        : code < 10 ? 5
                        : code < 16 ? 6
                                    : 7;
  const unsigned family = service < 5 ? 0 : service == 5 ? 8 : service == 6 ? 16 : 24;
  return static_cast<std::uint8_t>(size + family);
}

// The most frequent is group 0, and so on.
std::vector<std::uint8_t> by_frequency(std::span<const std::uint16_t> keys) {
  std::array<std::uint32_t, 12 * 40 * 2> counts{};
  for (const std::uint16_t key : keys) ++counts[key];
  std::vector<std::uint16_t> present;
  for (std::uint16_t key = 0; key < counts.size(); ++key) {
    if (counts[key] != 0) present.push_back(key);
  }
  std::stable_sort(present.begin(), present.end(),
                   [&](std::uint16_t a, std::uint16_t b) { return counts[a] > counts[b]; });
  std::array<std::uint8_t, counts.size()> group_of{};
  for (std::size_t place = 0; place < present.size(); ++place)
    group_of[present[place]] = static_cast<std::uint8_t>(std::min(place, kGroups - 1));
  std::vector<std::uint8_t> groups;
  for (const std::uint16_t key : keys) groups.push_back(group_of[key]);
  return groups;
}

Count count_of(std::uint64_t code) {
  return code == 0 ? Count() : Count(code - 1);
}

UnixMs at_ms(std::uint64_t ms) {
  return UnixMs(std::chrono::milliseconds(static_cast<std::int64_t>(ms)));
}

class Frame {
 public:
  Result<void> open(std::span<const std::byte> frame) {
    const auto header = parse_frame_header(frame);
    if (!header) return header.error();
    info_ = header->info;
    const auto directory = frame.subspan(kFrameHeaderBytes, header->parts * kDirectoryEntryBytesOf1);
    if (crc32c(directory) != header->directory_checksum) return bad("directory", "bad checksum");
    auto rest = frame.subspan(kFrameHeaderBytes + directory.size());
    unsigned before = 0;
    for (std::size_t place = 0; place < header->parts; ++place) {
      const std::byte* const raw = directory.data() + place * kDirectoryEntryBytesOf1;
      const unsigned column = load_little_endian<std::uint16_t>(raw);
      const auto length = load_little_endian<std::uint32_t>(raw + 4);
      if (column <= before || length > rest.size()) return bad("directory", "impossible columns");
      before = column;
      const auto bytes = rest.first(length);
      rest = rest.subspan(length);
      if (crc32c(bytes) != load_little_endian<std::uint32_t>(raw + 8))
        return bad("column " + std::to_string(column), "bad checksum");
      // One that is not known is passed over.
      if (column < kColumns)
        entries_[column] =
            Entry{std::to_integer<std::uint8_t>(raw[2]), std::to_integer<std::uint8_t>(raw[3]), bytes};
    }
    if (!rest.empty()) return bad("directory", "bytes that belong to no column");
    return {};
  }

  [[nodiscard]] const FrameInfo& info() const { return info_; }

  Result<void> read(RecordBlock& out) {
    if (load_all()) {
      out.records.resize(info_.records);
      out.ordinals.resize(info_.records);
      for (std::size_t row = 0; row < out.records.size(); ++row) assemble(row, out);
      return {};
    }
    return bad("column " + std::to_string(failed_), why_.empty() ? "is damaged" : why_);
  }

 private:
  struct Entry {
    std::uint8_t coding = 0;
    std::uint8_t context = 0;
    std::span<const std::byte> bytes;
  };
  struct Addresses {
    std::vector<IpAddress> distinct;
    std::vector<std::size_t> index;
  };

  static Error bad(const std::string& what, const std::string& why) {
    return Error{ErrorKind::kMalformed, "frame of version 1: " + what + ": " + why};
  }
  bool fail(Column column) {
    failed_ = column;
    return false;
  }

  // The groups of the rows by columns that go before: those are loaded already, by load_all()'s order.
  bool groups(Grouping context, std::vector<std::uint8_t>& out) const {
    const std::size_t rows = info_.records;
    const auto each = [&](auto group_of) {
      for (std::size_t row = 0; row < rows; ++row) out.push_back(group_of(row));
      return true;
    };
    const auto service = [&](std::size_t row) {
      return service_of(values_[kProtocol1][row], values_[kPubPort1][row]);
    };
    switch (context) {
      case Grouping::kProtocol:
        return each([&](std::size_t row) { return protocol_of(values_[kProtocol1][row]); });
      case Grouping::kService:
        return each(service);
      case Grouping::kKind: {
        std::vector<std::uint16_t> keys;
        for (std::size_t row = 0; row < rows; ++row) {
          const auto outcome = static_cast<unsigned>(std::min<std::uint64_t>(values_[kOutcome1][row], 39));
          const unsigned continued = values_[kSessionAge1][row] != 0 ? 1 : 0;
          keys.push_back(static_cast<std::uint16_t>((service(row) * 40U + outcome) * 2 + continued));
        }
        out = by_frequency(keys);
        return true;
      }
      case Grouping::kContinued:
        return each([&](std::size_t row) { return std::uint8_t{values_[kSessionAge1][row] != 0}; });
      case Grouping::kPktsFromVpc:
        return each([&](std::size_t row) { return size_of(values_[kPktsFromVpc1][row], service(row)); });
      case Grouping::kPktsFromPub:
        return each([&](std::size_t row) { return size_of(values_[kPktsFromPub1][row], service(row)); });
      case Grouping::kNone:
        break;
    }
    return false;
  }

  // Numbers as the column's entry says, to its end.
  bool coded(Column column, ByteReader& in, std::span<std::uint64_t> out) {
    const Entry& entry = *entries_[column];
    bool good = false;
    if (entry.coding == 0 && entry.context == 0) {
      good = reader_.numbers(in, out);
    } else if (entry.coding == 0) {
      good = grouped(column, static_cast<Grouping>(entry.context), in, out);
    } else if (entry.coding == 1 && entry.context <= 1) {
      good = by_address(column, entry.context == 0 ? kPriIp1 : kPubIp1, in, out);
    }
    return (good && in.ok() && in.left() == 0) || fail(column);
  }

  bool grouped(Column column, Grouping context, ByteReader& in, std::span<std::uint64_t> out) {
    // A context is made of columns before this one, which are there for all rows.
    const Column last = context == Grouping::kProtocol      ? kProtocol1
                        : context == Grouping::kService     ? kPubPort1
                        : context == Grouping::kContinued   ? kSessionAge1
                        : context == Grouping::kKind        ? kOutcome1
                        : context == Grouping::kPktsFromVpc ? kPktsFromVpc1
                                                            : kPktsFromPub1;
    if (values_[last].empty() || values_[kProtocol1].empty() || column == kOrigDstPort1 ||
        column == kOrigDstIp1)
      return false;
    if (context > Grouping::kService && (values_[kPubPort1].empty() || values_[kSessionAge1].empty()))
      return false;
    std::vector<std::uint8_t> group;
    if (!groups(context, group)) return false;
    std::array<std::size_t, kGroups + 1> ends{};
    for (const std::uint8_t g : group) ++ends[g + 1U];
    for (std::size_t g = 0; g < kGroups; ++g) ends[g + 1] += ends[g];
    std::vector<std::uint64_t> all(out.size());
    for (std::size_t g = 0; g < kGroups; ++g) {
      if (!reader_.numbers(in, std::span(all).subspan(ends[g], ends[g + 1] - ends[g]))) return false;
    }
    for (std::size_t row = 0; row < out.size(); ++row) out[row] = all[ends[group[row]]++];
    return true;
  }

  // What most records of an address have, and the others.
  bool by_address(Column column, Column key, ByteReader& in, std::span<std::uint64_t> out) {
    const Addresses& addresses = addresses_[key];
    if (column == key || addresses.index.size() != out.size()) return false;
    std::vector<std::uint64_t> usual(addresses.distinct.size());
    if (!reader_.numbers(in, usual)) return false;
    for (std::size_t row = 0; row < out.size(); ++row) out[row] = usual[addresses.index[row]];
    return reader_.exceptions(in, out);
  }

  bool load(Column column, std::uint64_t limit = UINT64_MAX) {
    std::vector<std::uint64_t> numbers(info_.records, 0);
    if (entries_[column]) {
      ByteReader in(entries_[column]->bytes);
      if (!coded(column, in, numbers)) return false;
    }
    if (*std::max_element(numbers.begin(), numbers.end()) > limit) return fail(column);
    values_[column] = std::move(numbers);
    return true;
  }

  bool load_addresses(Column column, std::size_t count) {
    Addresses loaded;
    if (!entries_[column]) {
      loaded.distinct.assign(1, IpAddress());
      loaded.index.assign(count, 0);
      addresses_[column] = std::move(loaded);
      return true;
    }
    ByteReader in(entries_[column]->bytes);
    const std::uint64_t several = in.varint();
    const std::uint8_t order = in.u8();
    if (!in.ok() || several > count || order > 1 ||
        !reader_.addresses(in, static_cast<std::size_t>(several), order == 1, loaded.distinct)) {
      return fail(column);
    }
    const std::uint64_t once = in.varint();
    if (!in.ok() || once > count - several ||
        !reader_.addresses(in, static_cast<std::size_t>(once), false, loaded.distinct)) {
      return fail(column);
    }
    std::vector<std::uint64_t> indexes(count);
    if (!coded(column, in, indexes)) return false;
    auto next = static_cast<std::size_t>(several);
    for (const std::uint64_t index : indexes) {
      if (index > several) return fail(column);
      loaded.index.push_back(index == 0 ? next++ : static_cast<std::size_t>(index - 1));
    }
    if (next != loaded.distinct.size()) return fail(column);
    addresses_[column] = std::move(loaded);
    return true;
  }

  bool load_texts(Column column, std::size_t parts, std::vector<std::string>& texts) {
    values_[column].assign(info_.records, 0);
    if (!entries_[column]) {
      texts.assign(parts, {});
      return true;
    }
    ByteReader in(entries_[column]->bytes);
    if (!reader_.texts(in, texts) || texts.size() % parts != 0) return fail(column);
    if (!coded(column, in, values_[column])) return false;
    const auto& indexes = values_[column];
    return *std::max_element(indexes.begin(), indexes.end()) < texts.size() / parts || fail(column);
  }

  bool load_labels() {
    const auto keep = [this](Column column, const auto& label, auto& labels) {
      if (label) {
        labels.push_back(*label);
        return true;
      }
      why_ = label.error().message;
      return fail(column);
    };
    std::vector<std::string> texts;
    if (!load_texts(kOrigin1, 2, texts)) return false;
    for (std::size_t i = 0; i < texts.size(); i += 2) {
      if (!keep(kOrigin1, intern_origin(texts[i], texts[i + 1]), origins_)) return false;
    }
    texts.clear();
    if (!load_texts(kVpcId1, 1, texts)) return false;
    return std::all_of(texts.begin(), texts.end(),
                       [&](const std::string& text) { return keep(kVpcId1, intern_label(text), vpc_ids_); });
  }

  // Makes codes of counts of quotients, with the remainders.
  bool load_bytes(Column column, Column packets_column) {
    values_[column].assign(info_.records, 0);
    if (!entries_[column]) return true;
    ByteReader in(entries_[column]->bytes);
    const std::uint64_t length = in.varint();
    if (!in.ok() || length > info_.records * sizeof(std::uint64_t)) return fail(column);
    std::vector<std::uint8_t> remainders(static_cast<std::size_t>(length));
    if (!remainders.empty() && !reader_.block(in, remainders)) return fail(column);
    auto& codes = values_[column];
    if (!coded(column, in, codes)) return false;
    BitReader bits(std::as_bytes(std::span(remainders)));
    for (std::size_t row = 0; row < codes.size(); ++row) {
      const std::uint64_t packets = values_[packets_column][row];
      if (has_remainder(codes[row], packets))
        codes[row] = (codes[row] - 1) * (packets - 1) + get_remainder(packets - 1, bits) + 1;
    }
    return bytes_for_bits(bits.place()) == remainders.size() || fail(column);
  }

  bool load_orig_dst() {
    if (!load(kHasOrigDst1, 1)) return false;
    std::size_t count = 0;
    for (const std::uint64_t has : values_[kHasOrigDst1]) {
      orig_dst_place_.push_back(count);
      count += static_cast<std::size_t>(has);
    }
    if (count == 0) return true;
    if (!load_addresses(kOrigDstIp1, count)) return false;
    orig_dst_ports_.assign(count, 0);
    if (entries_[kOrigDstPort1]) {
      ByteReader in(entries_[kOrigDstPort1]->bytes);
      if (!coded(kOrigDstPort1, in, orig_dst_ports_)) return false;
    }
    return *std::max_element(orig_dst_ports_.begin(), orig_dst_ports_.end()) <= 0xffff || fail(kOrigDstPort1);
  }

  // The columns that others go by stand before these.
  bool load_all() {
    const std::uint64_t most_outcome = 3 + 4 * static_cast<std::uint64_t>(TcpState::kSynSent2);
    const bool loaded = load_addresses(kPriIp1, info_.records) && load_addresses(kPubIp1, info_.records) &&
                        load_addresses(kNatIp1, info_.records) && load_labels() && load(kProtocol1, 0xff) &&
                        load(kPubPort1, 0xffff) && load(kPriPort1, 0xffff) && load(kNatPort1, 0xffff) &&
                        load(kOutcome1, most_outcome) && load(kReason1, 0xff) && load(kSessionAge1) &&
                        load(kNoSessionStart1, 1) && load(kEndTime1) && load(kStartTime1) &&
                        load(kSeq1, kSpec<Field::kSeq>.limit) && load(kPktsFromVpc1) && load(kPktsFromPub1) &&
                        load_bytes(kBytesFromVpc1, kPktsFromVpc1) &&
                        load_bytes(kBytesFromPub1, kPktsFromPub1) && load_orig_dst() &&
                        load(kZone1, kSpec<Field::kZone>.limit) && load(kMark1, kSpec<Field::kMark>.limit) &&
                        load(kEventsLost1) && load(kOrdinal1);
    return loaded && settle();
  }

  // Sums of differences.
  bool settle() {
    Ordinal next = info_.first;
    auto end = static_cast<std::uint64_t>(info_.min_end.time_since_epoch().count());
    const auto least_start = static_cast<std::uint64_t>(info_.min_start.time_since_epoch().count());
    for (std::size_t row = 0; row < info_.records; ++row) {
      std::uint64_t& ordinal = values_[kOrdinal1][row];
      if (next > info_.last || ordinal > info_.last - next) return fail(kOrdinal1);
      ordinal += next;
      next = ordinal + 1;
      values_[kEndTime1][row] = end += unzigzag(values_[kEndTime1][row]);
      std::uint64_t& start = values_[kStartTime1][row];
      start = values_[kSessionAge1][row] != 0 ? least_start + start : end - start;
      std::uint64_t& reason = values_[kReason1][row];
      if ((values_[kOutcome1][row] & 3) == static_cast<std::uint64_t>(RecordEvent::kEnd))
        reason ^= static_cast<std::uint64_t>(RecordReason::kDestroyed);
      if (reason > static_cast<std::uint64_t>(kLast<RecordReason>)) return fail(kReason1);
    }
    return next == info_.last + 1 || fail(kOrdinal1);
  }

  void assemble(std::size_t row, RecordBlock& out) const {
    const auto number = [&](Column column) { return values_[column][row]; };
    const auto address = [&](Column column) {
      return addresses_[column].distinct[addresses_[column].index[row]];
    };
    SessionRecord& record = out.records[row];
    record.origin = origins_[number(kOrigin1)];
    record.vpc_id = vpc_ids_[number(kVpcId1)];
    record.pri_ip = address(kPriIp1);
    record.pub_ip = address(kPubIp1);
    record.nat_ip = address(kNatIp1);
    record.pri_port = static_cast<std::uint16_t>(number(kPriPort1));
    record.pub_port = static_cast<std::uint16_t>(number(kPubPort1));
    record.nat_port = static_cast<std::uint16_t>(number(kNatPort1) + number(kPriPort1));
    record.bytes_from_vpc = count_of(number(kBytesFromVpc1));
    record.pkts_from_vpc = count_of(number(kPktsFromVpc1));
    record.bytes_from_pub = count_of(number(kBytesFromPub1));
    record.pkts_from_pub = count_of(number(kPktsFromPub1));
    record.start_time = at_ms(number(kStartTime1));
    record.end_time = at_ms(number(kEndTime1));
    if (number(kNoSessionStart1) == 0)
      record.session_start = at_ms(number(kStartTime1) - number(kSessionAge1));
    record.seq = static_cast<std::uint32_t>(number(kSeq1));
    record.protocol = static_cast<std::uint8_t>(number(kProtocol1));
    record.event = static_cast<RecordEvent>(number(kOutcome1) & 3);
    record.tcp_state = static_cast<TcpState>(number(kOutcome1) >> 2);
    record.reason = static_cast<RecordReason>(number(kReason1));
    set_plain<Field::kZone>(number(kZone1), record);
    set_plain<Field::kMark>(number(kMark1), record);
    set_plain<Field::kEventsLost>(number(kEventsLost1), record);
    if (number(kHasOrigDst1) != 0) {
      const std::size_t place = orig_dst_place_[row];
      const Addresses& all = addresses_[kOrigDstIp1];
      record.has_orig_dst = true;
      record.orig_dst_ip = all.distinct[all.index[place]];
      record.orig_dst_port = static_cast<std::uint16_t>(orig_dst_ports_[place]);
    }
    record.session_id = record.event == RecordEvent::kGap ? 0 : derive_session_id(record);
    out.ordinals[row] = number(kOrdinal1);
  }

  FrameInfo info_;
  Reader reader_;
  std::array<std::optional<Entry>, kColumns> entries_;
  std::array<std::vector<std::uint64_t>, kColumns> values_;  // of each row
  std::array<Addresses, kColumns> addresses_;
  std::vector<std::size_t> orig_dst_place_;
  std::vector<std::uint64_t> orig_dst_ports_;
  std::vector<const Origin*> origins_;
  std::vector<std::string_view> vpc_ids_;
  Column failed_{};
  std::string why_;
};

}  // namespace

Result<void> convert_frame_of_version_1(std::span<const std::byte> bytes, std::string& out) {
  Frame frame;
  if (auto opened = frame.open(bytes); !opened) return opened;
  if (frame.info().last - frame.info().first >= kMaxSealedRecords)
    return Error{ErrorKind::kMalformed, "frame of version 1: ordinals too far apart"};
  RecordBlock block;
  if (auto read = frame.read(block); !read) return read;
  FrameEncoder encoder(Effort::kFast);
  encoder.encode(block.records, block.ordinals, frame.info().long_sessions, out);
  return {};
}

}  // namespace natsession
