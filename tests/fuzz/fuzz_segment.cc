// Whole segment files of hostile bytes: readers, the sealer, verify and a writer come to an end, deliver in
// order, and account for every ordinal once.
// Shape:  the first byte says which checksums are put right (so that what is behind them is reached; those of
//        frames of version 1 too), and whether the file is sealed and has a successor; the rest is the file.
#include <cstring>
#include <fstream>
#include <string>

#include <unistd.h>

#include "fuzz/fuzz_main.h"
#include "ledger/bytes.h"
#include "ledger/compactor.h"
#include "ledger/crc32c.h"
#include "ledger/frame_layout.h"
#include "ledger/ledger_reader.h"
#include "ledger/ledger_writer.h"
#include "ledger/mend_checksums.h"
#include "ledger/verify_ledger.h"
#include "support/manual_clock.h"
#include "support/numbered_record.h"

namespace natsession::testing {
namespace {

namespace fs = std::filesystem;

constexpr Ordinal kNext = 1000;  // where the segment behind begins
constexpr std::byte kCorrectHeaders{1}, kCorrectFooter{2}, kSealed{4}, kLast{8}, kCorrectFrames{16};

bool has(std::byte flags, std::byte flag) {
  return (flags & flag) != std::byte{0};
}

void checksum(std::span<std::byte> bytes, std::size_t begin, std::size_t at) {
  put_le(bytes, at, crc32c(bytes.subspan(begin, at - begin)));
}

void correct(std::span<std::byte> file, std::byte flags) {
  if (has(flags, kCorrectHeaders)) {
    if (file.size() >= kSegmentHeaderBytes) checksum(file, 0, kSegmentHeaderBytes - 4);
    for (std::size_t at = 0; at + kFrameHeaderBytes <= file.size(); ++at) {
      if (std::memcmp(file.data() + at, kFrameMagic.data(), kFrameMagic.size()) != 0) continue;
      checksum(file, at, at + header_at::kHeaderChecksum);
    }
  }
  if (has(flags, kCorrectFrames)) {
    for (std::size_t at = 0; at + kFrameHeaderBytes <= file.size(); ++at) {
      if (std::memcmp(file.data() + at, kFrameMagic.data(), kFrameMagic.size()) != 0) continue;
      const auto bytes = get_le<std::uint32_t>(file, at + header_at::kFrameLength);
      if (bytes <= file.size() - at) mend_checksums(file.subspan(at, bytes));
    }
  }
  if (has(flags, kCorrectFooter) && file.size() >= kTrailerBytes) {
    const std::size_t trailer = file.size() - kTrailerBytes;
    const auto index = get_le<std::uint64_t>(file, trailer + 32);
    if (index < trailer) put_le(file, trailer + 84, crc32c(file.subspan(index, trailer - index)));
    checksum(file, trailer, file.size() - 4);
  }
}

// One folder for all inputs of this process, in memory where there is such a place.
struct Folder {
  Folder()
      : path((fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) /
             ("natsession-fuzz-segment." + std::to_string(::getpid()))) {}
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  const std::string path;
};

const std::string& folder() {
  static const Folder folder;
  return folder.path;
}

void write(const SegmentName& name, std::span<const std::byte> bytes) {
  std::ofstream file(folder() + "/segments/" + name.text(), std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

Ordinal read_all(Ordinal from) {
  const auto reader = LedgerReader::open(folder());
  require_that(reader.has_value(), "a ledger can be opened");
  (*reader)->seek(from);
  static_cast<void>((*reader)->begin());
  static_cast<void>((*reader)->end());
  RecordBlock block;
  Ordinal next = from;
  while (true) {
    const auto outcome = (*reader)->read(block);
    require_that(outcome.has_value(), "damage is no error");
    if (outcome->skipped) {
      require_that(block.records.empty(), "a hole comes by itself");
      require_that(outcome->skipped->first == next && outcome->skipped->last >= next,
                   "holes are where they are");
      require_that(outcome->skipped->from <= outcome->skipped->until, "times are in order");
      next = outcome->skipped->last + 1;
    }
    for (const Ordinal ordinal : block.ordinals) require_that(ordinal == next++, "no ordinal is left out");
    require_that((*reader)->place() == next, "the place is behind what was read");
    if (!outcome->skipped && block.records.empty()) return next;
  }
}

}  // namespace

void fuzz_one(std::span<const std::byte> input) {
  if (input.empty()) return;
  const std::byte flags = input[0];
  std::vector<std::byte> file(input.begin() + 1, input.end());
  correct(file, flags);
  fs::remove_all(folder());
  fs::create_directories(folder() + "/segments");
  write({0, has(flags, kSealed)}, file);
  const bool last = has(flags, kLast);
  if (!last) write({kNext, false}, encode_segment_header({kNext, UnixMs(), {}}));

  const Ordinal end = read_all(0);
  require_that(last || end == kNext, "every ordinal before the next segment is accounted for");
  if (!last) read_all(17);
  require_that(verify_ledger(folder()).has_value(), "verify comes to an end");
  auto segments = SegmentList::open(folder());
  require_that(segments.has_value(), "the segments can be listed");
  for (const SegmentEntry& entry : segments->entries()) {
    if (const auto segment = open_segment(segments->directory(), entry.name))
      static_cast<void>(read_frames(*segment));
  }

  ManualClock clock{UnixNs()};
  LedgerSettings settings;
  settings.directory = folder();
  settings.sync = SyncMode::kNever;
  settings.retention = {};
  settings.limit = {};
  Compactor compactor(settings, clock);
  for (int steps = 0; compactor.step() == std::chrono::nanoseconds(0); ++steps) {
    require_that(steps < 10'000, "the compactor comes to rest");
  }
  if (!last) require_that(read_all(0) == kNext, "and after sealing too");
  if (const auto writer = LedgerWriter::open(settings, clock)) {
    const Ordinal before = (*writer)->status().written;
    const SessionRecord record = numbered_record(1);
    require_that((*writer)->append({&record, 1}) == 1 && (*writer)->sync(),
                 "a ledger that opens can be written");
    require_that(read_all(before) == before + 1, "what was written is read");
  }
}

}  // namespace natsession::testing
