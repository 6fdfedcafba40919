// SegmentSums: what the records of a sealed segment add up to, in a file beside it: X.sums beside X.sealed.
// FORMAT.md gives the layout. The records are the truth: a file that is not there, is damaged, or is of
// another form of the segment says nothing, and is made anew (segment_summer.h).
//
// Threads: plain value types; a SegmentSums any.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/address_halves.h"
#include "ledger/number_model.h"
#include "ledger/segment_list.h"
#include "net/ip_address.h"
#include "record/sums.h"

namespace natsession {

inline constexpr std::uint16_t kSumsVersion = 2;
inline constexpr std::size_t kSumsHeaderBytes = 64;
inline constexpr std::size_t kSumsEntryBytes = 24;
inline constexpr std::size_t kMaxSumsSections = 64;

// What is summed up, by what, over which periods. By a record's end: as Sums says. Spread: traffic over the
// time of its record, a session in the period in which its first record begins; records, and those with
// unknown counters, where they end.
enum class SumsKind : std::uint16_t {
  kMinutes = 1,       // by protocol, spread
  kMinutesAtEnd = 2,  // by protocol, by the end
  kHoursByPriIp = 3,  // by the end
  kHoursByPubIp = 4,  // likewise
  kHoursByNatIp = 5,  // likewise
};
inline constexpr std::array kSumsKinds{SumsKind::kMinutes, SumsKind::kMinutesAtEnd, SumsKind::kHoursByNatIp,
                                       SumsKind::kHoursByPriIp, SumsKind::kHoursByPubIp};

[[nodiscard]] constexpr bool is_by_minute(SumsKind kind) {
  return kind == SumsKind::kMinutes || kind == SumsKind::kMinutesAtEnd;
}
[[nodiscard]] constexpr std::chrono::milliseconds length_of(SumsKind kind) {
  return is_by_minute(kind) ? std::chrono::milliseconds(std::chrono::minutes(1)) : std::chrono::hours(1);
}
// Periods are numbered from 1970, UTC: period n begins n lengths behind that.
[[nodiscard]] constexpr std::int64_t period_of(std::int64_t time_ms, std::int64_t length_ms) {
  return time_ms / length_ms - (time_ms % length_ms < 0 ? 1 : 0);
}

// What an entry is of beside its period: an address as two big-endian numbers, or a protocol.
struct SumsKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  [[nodiscard]] static SumsKey of(const IpAddress& address) {
    const Halves halves = halves_of(address);
    return {halves.high, halves.low};
  }
  [[nodiscard]] static SumsKey of(std::uint8_t protocol) { return {0, protocol}; }
  [[nodiscard]] IpAddress address() const { return address_of({high, low}); }
  [[nodiscard]] std::uint8_t protocol() const { return static_cast<std::uint8_t>(low); }
  friend auto operator<=>(const SumsKey&, const SumsKey&) = default;
};

struct SumsEntry {
  std::int64_t period = 0;
  SumsKey key;
  Sums sums;
};

// Names the sealed form of a segment.
struct SumsMark {
  Ordinal first = 0;
  std::uint32_t seal = 0;  // the checksum of its trailer
  friend bool operator==(const SumsMark&, const SumsMark&) = default;
};

// --- writing

// Packs the entries of one kind, part by part.
// Threads: one.
class SumsPacker {
 public:
  // Appends `entries`, in the order of their periods and keys, to a section. A period and key may be in what
  // is appended later as well: readers add.
  void append(std::span<const SumsEntry> entries, std::string& section);
  // A section of its own: the ordinals of gap records, ascending.
  void append_gaps(std::span<const Ordinal> ordinals, std::string& section);

 private:
  void append_part(std::span<const SumsEntry> entries, std::string& section);

  NumberEncoder numbers_;
  std::vector<std::uint64_t> column_;
};

// The bytes of a file. `sections[i]` is of `kinds[i]`; `gaps` as SumsPacker made it.
struct SumsSection {
  SumsKind kind{};
  std::string bytes;
};
[[nodiscard]] std::string encode_sums(const SumsMark& mark, const std::string& gaps,
                                      std::span<const SumsSection> sections);

// --- reading

class SegmentSums {
 public:
  // Reads the header and what gap records there are. No section is looked at.
  // Errors: kMalformed if there is no such file, it is damaged, or of another form of the segment;
  // kUnavailable if a newer program wrote it; kPermission, kIo.
  [[nodiscard]] static Result<SegmentSums> open(const LedgerDirectory& directory, const SumsMark& mark);

  // Whether there are sums of this kind. Where there are none the records have to be asked: too many
  // different keys, or records that cannot be read.
  [[nodiscard]] bool has(SumsKind kind) const { return section_of(kind) != nullptr; }

  // Of the segment's gap records, ascending.
  [[nodiscard]] const std::vector<Ordinal>& gaps() const { return gaps_; }

  // Calls `use` with the entries of one kind, part by part.
  // Errors: kMalformed if they are damaged; kIo. What `use` was given by then is to be forgotten.
  using Use = std::function<void(std::span<const SumsEntry>)>;
  [[nodiscard]] Result<void> read(SumsKind kind, const Use& use) const;

  // Checks all sections, also those that this program does not know.
  // Errors: kMalformed, kIo.
  [[nodiscard]] Result<void> verify() const;

 private:
  struct Section {
    std::uint16_t kind = 0;
    std::uint32_t checksum = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };

  [[nodiscard]] const Section* section_of(SumsKind kind) const;
  [[nodiscard]] Result<std::vector<std::byte>> bytes_of(const Section& section) const;
  [[nodiscard]] Error damaged(const std::string& why) const;

  std::shared_ptr<const SegmentFile> file_;
  std::vector<Section> sections_;
  std::vector<Ordinal> gaps_;
};

}  // namespace natsession
