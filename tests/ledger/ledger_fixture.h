// A ledger in a folder of its own, with a clock that a test moves, and short words for what is done to it.
#pragma once

#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ledger/compactor.h"
#include "ledger/ledger_reader.h"
#include "ledger/ledger_writer.h"
#include "ledger/segment_list.h"
#include "support/files.h"
#include "support/manual_clock.h"
#include "support/numbered_record.h"
#include "support/temp_dir.h"

namespace natsession::testing {

inline constexpr std::chrono::seconds kTestStart{1'000'000};

// What a reader was given from its place to the end: the records' numbers, and what was missing between them.
struct Reading {
  std::vector<Ordinal> ordinals;
  std::vector<std::uint32_t> numbers;  // seq
  std::vector<Skipped> skipped;

  [[nodiscard]] std::uint64_t missing() const {
    return std::accumulate(skipped.begin(), skipped.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const Skipped& one) { return sum + one.records(); });
  }
  // Each ordinal once, in order, as a record or as missing.
  [[nodiscard]] bool complete(Ordinal from, Ordinal to) const {
    std::size_t record = 0;
    std::size_t hole = 0;
    while (from < to) {
      if (record < ordinals.size() && ordinals[record] == from) {
        ++record;
        ++from;
      } else if (hole < skipped.size() && skipped[hole].first == from) {
        from = skipped[hole++].last + 1;
      } else {
        return false;
      }
    }
    return from == to && record == ordinals.size() && hole == skipped.size();
  }
};

// Adds one read() to `reading`. False at the end.
inline bool read_once(LedgerReader& reader, Reading& reading) {
  RecordBlock block;
  const auto outcome = reader.read(block);
  if (!outcome) throw std::runtime_error("read: " + outcome.error().message);
  if (outcome->skipped) reading.skipped.push_back(*outcome->skipped);
  for (std::size_t index = 0; index < block.records.size(); ++index) {
    reading.ordinals.push_back(block.ordinals[index]);
    reading.numbers.push_back(block.records[index].seq);
  }
  return outcome->skipped || !block.records.empty();
}

inline void read_on(LedgerReader& reader, Reading& reading) {
  while (read_once(reader, reading)) {
  }
}
inline Reading read_to_end(LedgerReader& reader) {
  Reading reading;
  read_on(reader, reading);
  return reading;
}

inline std::unique_ptr<LedgerReader> open_reader(const std::string& directory, Ordinal place = 0) {
  auto reader = LedgerReader::open(directory);
  if (!reader) throw std::runtime_error(reader.error().message);
  (*reader)->seek(place);
  return std::move(*reader);
}

// The frames of the ledger's segment number `index`.
inline std::vector<FramePlace> frames_in(const std::string& directory, std::size_t index) {
  auto segments = SegmentList::open(directory);
  if (!segments) throw std::runtime_error(segments.error().message);
  const auto file = open_segment(segments->directory(), segments->entries().at(index).name);
  if (!file) throw std::runtime_error(file.error().message);
  const auto found = read_frames(*file);
  if (!found) throw std::runtime_error(found.error().message);
  return found->frames;
}

inline Reading read_ledger(const std::string& directory, Ordinal place = 0) {
  return read_to_end(*open_reader(directory, place));
}

inline std::vector<std::uint32_t> numbers(std::uint32_t first, std::uint32_t count) {
  std::vector<std::uint32_t> result(count);
  std::iota(result.begin(), result.end(), first);
  return result;
}

inline bool append_one(LedgerWriter& writer, std::uint32_t number) {
  const SessionRecord record = numbered_record(number);
  return writer.append({&record, 1}) == 1;
}

inline std::string segment_name(Ordinal first, bool sealed) {
  return SegmentName{first, sealed}.text();
}

// In memory where there is such a place: fdatasync() costs nothing there.
inline std::filesystem::path memory_folder() {
  std::error_code ignored;
  return std::filesystem::is_directory("/dev/shm", ignored) ? "/dev/shm"
                                                            : std::filesystem::temp_directory_path();
}

// Until there is nothing to do.
inline void run_to_rest(Compactor& compactor) {
  for (int steps = 0; compactor.step() == std::chrono::nanoseconds(0); ++steps) {
    if (steps > 10'000) throw std::runtime_error("the compactor does not come to rest");
  }
}

class LedgerFixture {
 public:
  explicit LedgerFixture(const std::string& directory = {}) {
    settings.directory = directory.empty() ? temp_.file("ledger") : directory;
    open();
    compactor.emplace(settings, clock);
  }

  void open() {
    auto opened = LedgerWriter::open(settings, clock);
    if (!opened) throw std::runtime_error(opened.error().message);
    writer = std::move(*opened);
    writer->begin();
  }
  void close() { writer.reset(); }
  void reopen() {
    close();
    open();
  }

  std::size_t append(std::uint32_t first, std::uint32_t count) {
    std::vector<SessionRecord> records;
    for (std::uint32_t number = first; number < first + count; ++number)
      records.push_back(numbered_record(number));
    return writer->append(records);
  }
  // The records become one frame.
  void frame(std::uint32_t first, std::uint32_t count) {
    append(first, count);
    if (auto synced = writer->sync(); !synced) throw std::runtime_error(synced.error().message);
  }
  // [first, end) as two frames whose ordinals lie between each other's: two sessions are longer than a
  // window.
  void group(std::uint32_t first, std::uint32_t end, std::pair<std::uint32_t, std::uint32_t> long_sessions) {
    std::vector<SessionRecord> records;
    for (std::uint32_t number = first; number < end; ++number) {
      records.push_back(numbered_record(number));
      if (number == long_sessions.first || number == long_sessions.second)
        records.back().start_time = at_second(-100'000);
    }
    writer->append(records);
    if (auto synced = writer->sync(); !synced) throw std::runtime_error(synced.error().message);
  }
  // Segments of one frame of so many records each; the last stays open.
  void segments(std::initializer_list<std::uint32_t> counts) {
    std::uint32_t next = 0;
    for (const std::uint32_t count : counts) {
      if (next > 0) next_segment();
      frame(next, count);
      next += count;
    }
  }
  // What is written next goes to a new segment.
  void next_segment() {
    clock.advance(settings.segment_span);
    writer->tick();
  }
  // Another compactor, with another retention.
  void compact_with(std::chrono::milliseconds retention, ByteCount limit) {
    LedgerSettings changed = settings;
    changed.retention = retention;
    changed.limit = limit;
    compactor.emplace(changed, clock);
  }
  void keep() { run_to_rest(*compactor); }

  [[nodiscard]] std::string directory() const { return settings.directory; }
  [[nodiscard]] std::string path(Ordinal first, bool sealed = false) const {
    return settings.directory + "/segments/" + segment_name(first, sealed);
  }
  [[nodiscard]] std::vector<std::string> segment_files() const {
    std::vector<std::string> names = list_directory(settings.directory + "/segments");
    std::erase_if(names, [](const std::string& name) { return name.ends_with(".sums"); });
    return names;
  }
  [[nodiscard]] std::string sums_path(Ordinal first) const {
    return settings.directory + "/segments/" + SegmentName{first, true}.sums();
  }
  // The ledger as it is now, as if the machine had stopped: nobody has closed it.
  std::string crashed_copy() {
    const std::string copy = temp_.file("copy" + std::to_string(copies_++));
    std::filesystem::copy(settings.directory, copy, std::filesystem::copy_options::recursive);
    return copy;
  }
  [[nodiscard]] std::string file(const std::string& name) const { return temp_.file(name); }

 private:
  TempDir temp_{memory_folder()};
  int copies_ = 0;

 public:
  ManualClock clock{UnixNs(kTestStart)};
  LedgerSettings settings;
  std::unique_ptr<LedgerWriter> writer;
  std::optional<Compactor> compactor;
};

// When the newest record ended that a run wrote which did not close the ledger.
inline std::optional<UnixMs> torn_since(const LedgerWriter& writer) {
  const auto run = writer.previous_run();
  return run && run->crashed ? std::optional(run->until) : std::nullopt;
}

}  // namespace natsession::testing
