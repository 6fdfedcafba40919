// Compactor: what a ledger needs beside its writer: sealing (small frames of a closed segment merged into
// full ones), sums of sealed segments where they are missing or damaged, and retention; by age it deletes
// nothing that a wrong clock makes look old (AgeClock). It works step by step; a thread of low priority calls
// it.
// Threads: one, which need not be the writer's. status() from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "base/time.h"
#include "ledger/age_clock.h"
#include "ledger/ledger_settings.h"
#include "ledger/segment_list.h"
#include "ledger/segment_sealer.h"
#include "ledger/segment_summer.h"

namespace natsession {

struct LedgerStatus {
  std::uint64_t bytes = 0;  // of all segments on disk
  std::uint64_t segments = 0;
  std::uint64_t sealed_segments = 0;
  std::uint64_t records = 0;
  UnixMs oldest;                             // the oldest record's end; the epoch when there is none
  std::uint64_t deleted_segments = 0;        // by retention, since the start
  std::uint64_t deleted_unread_records = 0;  // that a sink had not read yet: the byte limit took them
  std::uint64_t damaged_frames = 0;          // met while sealing; they stay as they are
  std::string failure;                       // of the last step; empty when it went well
  std::optional<UnixMs> age_now;             // by the clock that ages are measured by; none: not known yet
};

// A segment that retention took.
struct DeletedSegment {
  enum class Rule { kAge, kSize };
  Rule rule = Rule::kAge;
  std::string path;
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  UnixMs oldest, newest;     // when its records ended; the epoch without any
  std::uint64_t unread = 0;  // records that a sink had not read yet
};

class Compactor {
 public:
  Compactor(LedgerSettings settings, const Clock& clock) : settings_(std::move(settings)), clock_(clock) {}

  // The sinks whose cursors hold segments back. A cursor of another name is an old sink's: it holds nothing.
  void set_sinks(std::vector<std::string> names) { sinks_ = std::move(names); }

  // Called from step() for each.
  void on_deleted(std::function<void(const DeletedSegment&)> call) { on_deleted_ = std::move(call); }

  // One small piece of work: at most one segment deleted, or some frames sealed or summed up. Returns when to
  // come again: at once (zero) while there is more.
  std::chrono::nanoseconds step();

  [[nodiscard]] LedgerStatus status() const {
    return status_.with([](const LedgerStatus& status) { return status; });
  }

 private:
  bool open();
  bool clean_up();
  std::chrono::nanoseconds seal_on();
  bool delete_one();
  bool begin_sealing();
  std::chrono::nanoseconds sum_on();
  bool begin_summing();
  bool remove(const SegmentEntry& entry, DeletedSegment::Rule rule, std::uint64_t unread);
  bool tell_time();
  [[nodiscard]] bool is_expired(const SegmentEntry& entry) const;
  [[nodiscard]] std::optional<Ordinal> first_unread() const;
  [[nodiscard]] bool is_in_trouble(Ordinal segment) const;
  void trouble(Ordinal segment, const Error& error);
  void publish();

  const LedgerSettings settings_;
  const Clock& clock_;
  std::vector<std::string> sinks_;
  std::function<void(const DeletedSegment&)> on_deleted_;
  std::optional<SegmentList> segments_;
  std::optional<AgeClock> age_clock_;
  bool held_back_ = false;  // something would be deleted now if the clock were believed
  bool clean_ = false;
  std::unique_ptr<SegmentSealer> sealer_;
  Ordinal sealing_ = 0;
  std::unique_ptr<SumsMaker> maker_;
  Ordinal summing_ = 0;
  std::set<Ordinal> summed_;  // segments whose sums have been looked at
  struct Trouble {
    std::chrono::nanoseconds until{};  // steady: the segment is left alone
    std::string why;
  };
  std::map<Ordinal, Trouble> troubles_;
  std::uint64_t deleted_segments_ = 0;
  std::uint64_t deleted_unread_ = 0;
  std::uint64_t damaged_ = 0;
  std::string failure_;
  Guarded<LedgerStatus> status_;
};

}  // namespace natsession
