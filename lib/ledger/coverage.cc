// The file, in FORMAT.md's words:
//   coverage = *span
//   span     = slot slot        ; 512 bytes each: a sector, so that a write is whole or not there
//   slot     = magic version length required generation end from until flags window netns_length netns booted
//           boot checksum
#include "ledger/coverage.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <fcntl.h>

#include "base/files.h"
#include "ledger/bytes.h"
#include "ledger/ledger_directory.h"
#include "ledger/slot.h"

namespace natsession {
namespace {

constexpr std::string_view kCoverageName = "coverage";
constexpr std::string_view kClaimMagic = "NSLCOV\r\n";
constexpr std::size_t kSpanBytes = 2 * kSlotBytes;
constexpr std::size_t kMostBytes = std::size_t{16} << 20;

constexpr std::size_t kClaimEndAt = 24;
constexpr std::size_t kClaimFromAt = 32;
constexpr std::size_t kClaimUntilAt = 40;
constexpr std::size_t kClaimFlagsAt = 48;
constexpr std::size_t kClaimWindowAt = 52;
constexpr std::size_t kClaimNetnsAt = 56;
constexpr std::size_t kClaimBootedAt = 464;
constexpr std::size_t kClaimBootAt = 472;  // 36 bytes, up to the checksum
constexpr std::size_t kMaxBoot = kSlotChecksumAt - kClaimBootAt;
constexpr std::size_t kMaxNetns = kClaimBootedAt - kClaimNetnsAt - sizeof(std::uint16_t);

// flags
constexpr std::uint32_t kWholeFlag = 1;
constexpr unsigned kEventsShift = 1;   // three bits
constexpr unsigned kNatShift = 4;      // two
constexpr unsigned kRecordsShift = 6;  // two

std::string path_of(const std::string& directory) {
  return directory + "/" + std::string(kCoverageName);
}

SlotBytes encode_claim(const CoverageClaim& claim, std::uint64_t generation) {
  const Coverage& coverage = claim.coverage;
  const CoverageConditions& conditions = coverage.conditions;
  SlotBytes bytes = begin_slot(kClaimMagic, generation);
  put_le(bytes, kClaimEndAt, claim.end);
  put_time(bytes, kClaimFromAt, coverage.from);
  put_time(bytes, kClaimUntilAt, coverage.until);
  put_le(bytes, kClaimFlagsAt,
         (coverage.whole ? kWholeFlag : 0) | std::uint32_t{conditions.events} << kEventsShift |
             std::uint32_t{conditions.nat} << kNatShift | std::uint32_t{conditions.records} << kRecordsShift);
  put_le(bytes, kClaimWindowAt, static_cast<std::uint32_t>(conditions.window.count()));
  put_slot_text(bytes, kClaimNetnsAt, std::string_view(coverage.netns).substr(0, kMaxNetns));
  put_time(bytes, kClaimBootedAt, claim.booted.at);
  std::memcpy(bytes.data() + kClaimBootAt, claim.booted.id.data(),
              std::min(claim.booted.id.size(), kMaxBoot));
  seal_slot(bytes);
  return bytes;
}

// Of a whole slot. Nothing if that cannot be.
std::optional<CoverageClaim> decode_claim(const SlotBytes& bytes) {
  CoverageClaim claim;
  claim.end = get_le<std::uint64_t>(bytes, kClaimEndAt);
  Coverage& coverage = claim.coverage;
  coverage.from = get_time(bytes, kClaimFromAt);
  coverage.until = get_time(bytes, kClaimUntilAt);
  const auto flags = get_le<std::uint32_t>(bytes, kClaimFlagsAt);
  const auto bits = [flags](unsigned shift, unsigned mask) {
    return static_cast<std::uint8_t>(flags >> shift & mask);
  };
  coverage.whole = (flags & kWholeFlag) != 0;
  coverage.conditions = {bits(kEventsShift, 7), bits(kNatShift, 3), bits(kRecordsShift, 3),
                         std::chrono::milliseconds(get_le<std::uint32_t>(bytes, kClaimWindowAt))};
  auto netns = slot_text(bytes, kClaimNetnsAt);
  if (!netns || coverage.until < coverage.from) return std::nullopt;
  coverage.netns = netns->substr(0, kMaxNetns);
  claim.booted.at = get_time(bytes, kClaimBootedAt);
  const auto* const boot = reinterpret_cast<const char*>(bytes.data()) + kClaimBootAt;
  claim.booted.id.assign(boot, ::strnlen(boot, kMaxBoot));
  return claim;
}

Result<CoverageSpan> read_span(int fd, std::size_t offset, const std::string& path) {
  CoverageSpan span;
  std::uint64_t newest = 0;
  for (const std::size_t at : {offset, offset + kSlotBytes}) {
    SlotBytes bytes;
    const auto whole = read_slot(fd, bytes, at, kClaimMagic, path);
    if (!whole) return whole.error();
    if (!*whole) continue;
    if (auto known = check_slot_version(bytes, path); !known) return known.error();
    auto claim = decode_claim(bytes);
    if (!claim) continue;
    const auto generation = get_le<std::uint64_t>(bytes, kSlotGenerationAt);
    span.insert(generation > newest ? span.begin() : span.end(), std::move(*claim));
    newest = std::max(newest, generation);
  }
  return span;
}

}  // namespace

Result<std::vector<CoverageSpan>> read_coverage(const std::string& directory) {
  const std::string path = path_of(directory);
  const auto opened = open_slots(directory, kCoverageName);
  if (!opened) return opened.error();
  if (!*opened) return std::vector<CoverageSpan>();
  const int fd = (*opened)->get();
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_error("ledger: stat " + path, errno);
  const std::size_t size = std::min(static_cast<std::size_t>(status.st_size), kMostBytes);
  std::vector<CoverageSpan> spans;
  for (std::size_t at = 0; at < size; at += kSpanBytes) {
    auto span = read_span(fd, at, path);
    if (!span) return span.error();
    if (!span->empty()) spans.push_back(std::move(*span));
  }
  return spans;
}

std::vector<CoverageClaim> proved_claims(const std::vector<CoverageSpan>& spans, Ordinal end) {
  std::vector<CoverageClaim> proved;
  for (const CoverageSpan& span : spans) {
    const auto claim =
        std::find_if(span.begin(), span.end(), [end](const CoverageClaim& slot) { return slot.end <= end; });
    if (claim != span.end()) proved.push_back(*claim);
  }
  return proved;
}

Result<CoverageFile> CoverageFile::open(const std::string& directory, Ordinal end, UnixMs oldest) {
  const auto spans = read_coverage(directory);
  if (!spans && spans.error().kind == ErrorKind::kUnavailable)
    return refused_as_newer(spans.error(), directory);
  if (!spans) return spans.error();
  CoverageFile file;
  file.directory_ = directory;
  std::string kept;
  for (CoverageClaim& claim : proved_claims(*spans, end)) {
    if (claim.coverage.until < oldest) continue;
    const SlotBytes bytes = encode_claim(claim, 1);
    kept.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    kept.append(kSlotBytes, '\0');
    ++file.count_;
    file.before_.push_back(std::move(claim));
  }
  const std::array<std::string_view, 1> parts{kept};
  if (auto replaced = replace_file(directory, std::string(kCoverageName), parts); !replaced)
    return replaced.error();
  const auto folder = open_directory(directory, /*follow_link=*/true);
  if (!folder) return folder.error();
  auto fd = open_regular(folder->get(), std::string(kCoverageName), path_of(directory), O_RDWR, 0);
  if (!fd) return fd.error();
  file.fd_ = std::move(*fd);
  return file;
}

Result<void> CoverageFile::store(std::span<const Coverage> proved, Ordinal end, const Booted& booted) {
  for (const Coverage& coverage : proved) {
    auto place = std::find_if(going_on_.begin(), going_on_.end(),
                              [&](const Place& known) { return known.netns == coverage.netns; });
    if (place == going_on_.end()) place = going_on_.insert(place, {coverage.netns, UnixMs::min(), 0, 0});
    if (place->from != coverage.from) *place = {coverage.netns, coverage.from, 0, count_++};
    ++place->generation;
    const SlotBytes bytes = encode_claim({coverage, end, booted}, place->generation);
    const std::size_t at = place->index * kSpanBytes + (place->generation % 2 == 1 ? 0 : kSlotBytes);
    if (auto written = write_at(fd_.get(), bytes, at, path_of(directory_)); !written) return written;
  }
  return {};
}

}  // namespace natsession
