// ScanReport: what an answer must say beside the answer: where the ledger could not be read, and where the
// log itself says that it is incomplete.
// Threads: plain value types.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "query/query.h"
#include "record/session_record.h"

namespace natsession {

enum class TroubleKind : std::uint8_t {
  kDamaged,   // a frame or a part of a segment cannot be read
  kNewer,     // a newer program wrote it
  kVanished,  // a segment was deleted (retention) before it was read
};
[[nodiscard]] std::string_view to_string(TroubleKind kind);  // damaged, newer, vanished

// Something in the ledger that could not be read, and that may have held an answer.
struct Trouble {
  TroubleKind kind = TroubleKind::kDamaged;
  TimeRange time;  // the uncertain time: records that ended in it may be missing; open where nothing tells
  std::uint64_t records = 0;  // how many; 0 if that is not known
  std::string why;            // for people: which file, where, what
  friend bool operator==(const Trouble&, const Trouble&) = default;
};

// A gap record whose time overlaps the question's.
struct KnownGap {
  UnixMs from, until;
  RecordReason reason = RecordReason::kNone;
  Count events_lost;
  std::string instance;
  std::string netns;
  friend bool operator==(const KnownGap&, const KnownGap&) = default;
};

struct ScanReport {
  static constexpr std::size_t kMaxTold = 1000;  // of troubles and of gaps; all are counted

  std::vector<Trouble> troubles;  // in the order of their times
  std::uint64_t trouble_count = 0;
  std::vector<KnownGap> gaps;  // likewise
  std::uint64_t gap_count = 0;

  std::uint64_t segments = 0;        // that were looked into
  std::uint64_t frames_skipped = 0;  // by their times alone
  std::uint64_t frames_read = 0;
  std::uint64_t records_read = 0;  // in these frames
  std::uint64_t rows = 0;          // records that passed
  bool cancelled = false;

  [[nodiscard]] bool complete() const { return trouble_count == 0 && gap_count == 0 && !cancelled; }
  // Adds what another scan for the same answer found; what both tell is told once.
  void merge(const ScanReport& other);
  void sort();
};

}  // namespace natsession
