// Compactor: what a ledger needs beside its writer: sealing (small frames of a closed segment merged into
// full ones) and retention; by age it deletes nothing because a clock goes ahead at once (AgeClock). It
// works step by step; a thread of low priority calls it.
// Threads: one, which need not be the writer's. status() from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "base/time.h"
#include "ledger/ledger_settings.h"
#include "ledger/segment_list.h"
#include "ledger/segment_sealer.h"

namespace natsession {

// AgeClock: the time that the age of records is measured by: the wall clock, but not one that has just gone
// far ahead. A clock that is set wrong for an hour must not make retention delete the whole ledger: what is
// ahead of the time that has passed counts only when it has stood for a day. What is set back counts at once:
// it deletes less.
class AgeClock {
 public:
  static constexpr std::chrono::hours kDoubt{24};

  // `known`: a time that has been reached, whatever the clock says: of the newest record. To be called once,
  // before now(). Without it the clock is believed as it is found.
  void begin(UnixMs known, std::chrono::nanoseconds steady) { trusted_ = {known, steady}; }

  // To be called often. The wall clock may be `tolerance` ahead of what has passed since the last call.
  [[nodiscard]] UnixMs now(UnixMs wall, std::chrono::nanoseconds steady,
                           std::chrono::milliseconds tolerance) {
    if (!trusted_) trusted_ = {wall, steady};
    const UnixMs expected =
        trusted_->wall + std::chrono::floor<std::chrono::milliseconds>(steady - trusted_->steady);
    if (wall - expected > tolerance) {
      if (!ahead_since_) ahead_since_ = steady;
      if (steady - *ahead_since_ < kDoubt) return expected;
    }
    ahead_since_.reset();
    trusted_ = {wall, steady};
    return wall;
  }

  // Whether the last now() was another time than the wall clock's.
  [[nodiscard]] bool doubts() const { return ahead_since_.has_value(); }

 private:
  struct Moment {
    UnixMs wall;
    std::chrono::nanoseconds steady;
  };
  std::optional<Moment> trusted_;
  std::optional<std::chrono::nanoseconds> ahead_since_;  // steady
};

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
};

class Compactor {
 public:
  Compactor(LedgerSettings settings, const Clock& clock) : settings_(std::move(settings)), clock_(clock) {}

  // The sinks whose cursors hold segments back. A cursor of another name is an old sink's: it holds nothing.
  void set_sinks(std::vector<std::string> names) { sinks_ = std::move(names); }

  // One small piece of work: at most one segment deleted or some frames sealed. Returns when to come again:
  // at once (zero) while there is more.
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
  bool remove(const SegmentEntry& entry, std::uint64_t unread);
  void tell_time();
  [[nodiscard]] bool is_older(const SegmentEntry& entry, UnixMs now) const;
  [[nodiscard]] bool is_expired(const SegmentEntry& entry) const { return is_older(entry, now_); }
  [[nodiscard]] std::optional<Ordinal> first_unread() const;
  [[nodiscard]] bool is_in_trouble(Ordinal segment) const;
  void trouble(Ordinal segment, const Error& error);
  void publish();

  const LedgerSettings settings_;
  const Clock& clock_;
  std::vector<std::string> sinks_;
  std::optional<SegmentList> segments_;
  std::optional<AgeClock> age_clock_;
  UnixMs now_;              // as age is measured
  bool held_back_ = false;  // something would be deleted now if the clock were believed
  bool clean_ = false;
  std::unique_ptr<SegmentSealer> sealer_;
  Ordinal sealing_ = 0;
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
