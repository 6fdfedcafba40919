// The file, in FORMAT.md's words:
//   coverage = *span
//   span     = slot slot        ; 512 bytes each: a sector, so that a write is whole or not there
//   slot     = magic version length required generation end from until flags window netns_length netns zeros
//   checksum
#include "ledger/coverage.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
#include "ledger/bytes.h"
#include "ledger/crc32c.h"
#include "ledger/ledger_directory.h"

namespace natsession {
namespace {

constexpr std::string_view kCoverageName = "coverage";
constexpr std::string_view kClaimMagic = "NSLCOV\r\n";
constexpr std::uint16_t kClaimVersion = 1;
constexpr std::size_t kClaimBytes = 512;
constexpr std::size_t kSpanBytes = 2 * kClaimBytes;
constexpr ByteCount kMostBytes{std::uint64_t{16} << 20};

constexpr std::size_t kClaimGenerationAt = 16;
constexpr std::size_t kClaimEndAt = 24;
constexpr std::size_t kClaimFromAt = 32;
constexpr std::size_t kClaimUntilAt = 40;
constexpr std::size_t kClaimFlagsAt = 48;
constexpr std::size_t kClaimWindowAt = 52;
constexpr std::size_t kClaimNetnsLengthAt = 56;
constexpr std::size_t kClaimNetnsAt = 58;
constexpr std::size_t kClaimChecksumAt = kClaimBytes - 4;
constexpr std::size_t kMaxNetns = kClaimChecksumAt - kClaimNetnsAt;

// flags
constexpr std::uint32_t kWholeFlag = 1;
constexpr unsigned kEventsShift = 1;   // three bits
constexpr unsigned kNatShift = 4;      // two
constexpr unsigned kRecordsShift = 6;  // two

using ClaimBytes = std::array<std::byte, kClaimBytes>;

struct ClaimSlot {
  std::uint64_t generation = 0;
  Ordinal end = 0;  // proved by the records below
  Coverage coverage;
};

ClaimBytes encode_claim(const ClaimSlot& slot) {
  ClaimBytes bytes{};
  const Coverage& coverage = slot.coverage;
  const CoverageConditions& conditions = coverage.conditions;
  const std::string_view netns = std::string_view(coverage.netns).substr(0, kMaxNetns);
  std::memcpy(bytes.data(), kClaimMagic.data(), kClaimMagic.size());
  put_le(bytes, kVersionAt, kClaimVersion);
  put_le(bytes, kLengthAt, static_cast<std::uint16_t>(kClaimBytes));
  put_le(bytes, kClaimGenerationAt, slot.generation);
  put_le(bytes, kClaimEndAt, slot.end);
  put_time(bytes, kClaimFromAt, coverage.from);
  put_time(bytes, kClaimUntilAt, coverage.until);
  put_le(bytes, kClaimFlagsAt,
         (coverage.whole ? kWholeFlag : 0) | std::uint32_t{conditions.events} << kEventsShift |
             std::uint32_t{conditions.nat} << kNatShift | std::uint32_t{conditions.records} << kRecordsShift);
  put_le(bytes, kClaimWindowAt, static_cast<std::uint32_t>(conditions.window.count()));
  put_le(bytes, kClaimNetnsLengthAt, static_cast<std::uint16_t>(netns.size()));
  std::memcpy(bytes.data() + kClaimNetnsAt, netns.data(), netns.size());
  put_le(bytes, kClaimChecksumAt, crc32c(std::span(bytes).first(kClaimChecksumAt)));
  return bytes;
}

// nullopt: it is not whole.
// Errors: kUnavailable if a newer program wrote it.
Result<std::optional<ClaimSlot>> decode_claim(std::span<const std::byte> bytes) {
  if (std::memcmp(bytes.data(), kClaimMagic.data(), kClaimMagic.size()) != 0)
    return std::optional<ClaimSlot>();
  if (get_le<std::uint32_t>(bytes, kClaimChecksumAt) != crc32c(bytes.first(kClaimChecksumAt))) {
    return std::optional<ClaimSlot>();
  }
  if (get_le<std::uint16_t>(bytes, kVersionAt) > kClaimVersion ||
      get_le<std::uint32_t>(bytes, kRequiredAt) != 0) {
    return Error{ErrorKind::kUnavailable, "written by a newer version"};
  }
  ClaimSlot slot;
  slot.generation = get_le<std::uint64_t>(bytes, kClaimGenerationAt);
  slot.end = get_le<std::uint64_t>(bytes, kClaimEndAt);
  slot.coverage.from = get_time(bytes, kClaimFromAt);
  slot.coverage.until = get_time(bytes, kClaimUntilAt);
  const auto flags = get_le<std::uint32_t>(bytes, kClaimFlagsAt);
  const auto bits = [flags](unsigned shift, unsigned mask) {
    return static_cast<std::uint8_t>(flags >> shift & mask);
  };
  slot.coverage.whole = (flags & kWholeFlag) != 0;
  slot.coverage.conditions = {bits(kEventsShift, 7), bits(kNatShift, 3), bits(kRecordsShift, 3),
                              std::chrono::milliseconds(get_le<std::uint32_t>(bytes, kClaimWindowAt))};
  const std::size_t length = get_le<std::uint16_t>(bytes, kClaimNetnsLengthAt);
  if (length > kMaxNetns || slot.coverage.until < slot.coverage.from) return std::optional<ClaimSlot>();
  slot.coverage.netns.assign(reinterpret_cast<const char*>(bytes.data()) + kClaimNetnsAt, length);
  return std::optional(std::move(slot));
}

Result<CoverageSpan> read_span(std::span<const std::byte> bytes) {
  std::vector<ClaimSlot> slots;
  for (; bytes.size() >= kClaimBytes; bytes = bytes.subspan(kClaimBytes)) {
    auto slot = decode_claim(bytes.first(kClaimBytes));
    if (!slot) return slot.error();
    if (*slot) slots.push_back(std::move(**slot));
  }
  std::sort(slots.begin(), slots.end(),
            [](const ClaimSlot& a, const ClaimSlot& b) { return a.generation > b.generation; });
  CoverageSpan span;
  for (ClaimSlot& slot : slots) span.push_back({std::move(slot.coverage), slot.end});
  return span;
}

}  // namespace

Result<std::vector<CoverageSpan>> read_coverage(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kCoverageName);
  const auto folder = open_directory(directory, /*follow_link=*/true);
  if (!folder) return folder.error();
  const auto fd = open_regular(folder->get(), std::string(kCoverageName), path, O_RDONLY, 0);
  if (!fd) {
    const ErrorKind kind = fd.error().kind;
    if (kind == ErrorKind::kUnavailable || kind == ErrorKind::kMalformed) return std::vector<CoverageSpan>();
    return fd.error();
  }
  std::vector<CoverageSpan> spans;
  std::array<std::byte, kSpanBytes> bytes{};
  for (std::uint64_t at = 0; at < kMostBytes.bytes; at += kSpanBytes) {
    ssize_t count = 0;
    do {
      count = ::pread(fd->get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    } while (count < 0 && errno == EINTR);
    if (count < 0) return system_error("ledger: read " + path, errno);
    if (count == 0) break;
    auto span = read_span(std::span(bytes).first(static_cast<std::size_t>(count)));
    if (!span) return Error{span.error().kind, "ledger: read " + path + ": " + span.error().message};
    if (!span->empty()) spans.push_back(std::move(*span));
  }
  return spans;
}

std::vector<Coverage> proved_coverage(const std::vector<CoverageSpan>& spans, Ordinal end) {
  std::vector<Coverage> proved;
  for (const CoverageSpan& span : spans) {
    const auto claim =
        std::find_if(span.begin(), span.end(), [end](const CoverageClaim& slot) { return slot.end <= end; });
    if (claim != span.end()) proved.push_back(claim->coverage);
  }
  return proved;
}

Result<CoverageFile> CoverageFile::open(const std::string& directory, Ordinal end, UnixMs oldest) {
  const auto spans = read_coverage(directory);
  if (!spans) return spans.error();
  CoverageFile file;
  file.directory_ = directory;
  std::string kept;
  for (Coverage& coverage : proved_coverage(*spans, end)) {
    if (coverage.until < oldest) continue;
    const ClaimBytes bytes = encode_claim({1, 0, coverage});
    kept.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    kept.append(kClaimBytes, '\0');
    ++file.count_;
    file.before_.push_back(std::move(coverage));
  }
  const std::array<std::string_view, 1> parts{kept};
  if (auto replaced = replace_file(directory, std::string(kCoverageName), parts); !replaced)
    return replaced.error();
  const auto folder = open_directory(directory, /*follow_link=*/true);
  if (!folder) return folder.error();
  auto fd = open_regular(folder->get(), std::string(kCoverageName),
                         directory + "/" + std::string(kCoverageName), O_RDWR, 0);
  if (!fd) return fd.error();
  file.fd_ = std::move(*fd);
  return file;
}

Result<void> CoverageFile::store(std::span<const Coverage> proved, Ordinal end) {
  for (const Coverage& coverage : proved) {
    auto place = std::find_if(going_on_.begin(), going_on_.end(),
                              [&](const Place& known) { return known.netns == coverage.netns; });
    if (place == going_on_.end()) place = going_on_.insert(place, {coverage.netns, UnixMs::min(), 0, 0});
    if (place->from != coverage.from) *place = {coverage.netns, coverage.from, 0, count_++};
    ++place->generation;
    const ClaimBytes bytes = encode_claim({place->generation, end, coverage});
    const std::size_t at = place->index * kSpanBytes + (place->generation % 2 == 1 ? 0 : kClaimBytes);
    const ssize_t count = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (count != ssize_t{kClaimBytes}) {
      return system_error("ledger: write " + directory_ + "/" + std::string(kCoverageName),
                          count < 0 ? errno : ENOSPC);
    }
  }
  return {};
}

}  // namespace natsession
