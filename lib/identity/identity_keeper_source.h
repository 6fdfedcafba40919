// What an IdentityKeeper has of a source, and where that tells.
// Threads: followed_until() and the report any; all else that on which sources take their turns.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "identity/identity_keeper.h"

namespace natsession {

class IdentityKeeper::Source final : public IdentityOutput {
 public:
  Source(IdentityKeeper& keeper, std::string name, std::string netns, std::uint8_t number)
      : keeper_(keeper), name_(std::move(name)), netns_(std::move(netns)), number_(number) {}

  void begin_whole() override {
    if (std::exchange(marking_, true))
      keeper_.each_open_of(*this, [](AssignmentTable::Entry& entry) { entry.in_this_whole = false; });
    in_whole_ = true;
    late_.clear();
    late_sessions_.clear();
  }
  void end_whole(UnixMs at) override;
  void seen(const SeenAssignment& seen, UnixMs at) override { keeper_.begin(*this, seen, at); }
  void ended(const Prefix& prefix, std::string_view id, UnixMs at) override {
    end_at(prefix, id, at, at, at);
  }
  void ended_between(const Prefix& prefix, std::string_view id, UnixMs earliest, UnixMs latest) override {
    // What was known to be there later than that ended later.
    const UnixMs known = std::max(earliest, known_until().value_or(earliest));
    end_at(prefix, id, earliest, std::min(known, latest), latest);
  }
  void ended_group(std::string_view group, UnixMs at) override;
  void ended_session(std::string_view group, std::string_view id, UnixMs at) override;
  void followed(UnixMs until) override;
  void lost(std::string_view why) override {
    // What is open is named again when the source has said so.
    keeper_.each_open_of(*this, [](AssignmentTable::Entry& entry) { entry.unconfirmed = true; });
    in_whole_ = false;  // it is told anew, from its beginning
    interrupted(why);
  }
  // Of the time from the last followed() to the next nothing is claimed.
  void interrupted(std::string_view why) {
    broken_ = true;
    report_.with([&](IdentitySourceReport& report) {
      ++report.losses;
      report.problem = why;
    });
  }
  // Who may read the status may not read names: of what it was nothing is told.
  void refused(std::string_view why, std::string_view /*what*/) override {
    report_.with([&](IdentitySourceReport& report) {
      ++report.refused;
      report.problem = why;
    });
  }

  using Found = std::array<AssignmentTable::Index, AssignmentTable::kMostOfId>;
  // Of what was told at `told`, those at the prefix.
  void end_at(const Prefix& prefix, std::string_view id, UnixMs told, UnixMs until, UnixMs latest);
  void end_these(std::span<const AssignmentTable::Index> meant, UnixMs until, UnixMs latest);
  [[nodiscard]] static std::string session_name(std::string_view group, std::string_view id) {
    return std::string(group) + '\0' + std::string(id);
  }
  // None: not yet in this run.
  [[nodiscard]] std::optional<UnixMs> followed_until() const {
    const std::int64_t ms = followed_until_.load(std::memory_order_acquire);
    return ms == kNever ? std::nullopt : std::optional<UnixMs>(std::chrono::milliseconds(ms));
  }
  // The last time, in this run or one before, when what it tells was known.
  [[nodiscard]] std::optional<UnixMs> known_until() const {
    const auto now = followed_until();
    return now ? std::max(now, before_) : before_;
  }

  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();

  IdentityKeeper& keeper_;
  const std::string name_, netns_;
  const std::uint8_t number_;
  std::optional<UnixMs> before_;  // until when a run before followed it
  // Of the whole under way, what is older than that and not in the log as open: the log knows it and its end,
  // unless it turns out to be there still.
  struct Late {
    OwnIdentityTexts texts;
    std::string group;
    AssignmentKind kind = AssignmentKind::kOther;
    std::optional<UnixMs> since, expires;
    UnixMs at;
  };
  std::map<Prefix, Late> late_;
  std::multimap<std::string, Prefix> late_sessions_;  // by session_name(): where in late_
  void tell_late();
  bool in_whole_ = false;
  bool marking_ =
      false;  // what is seen is marked as in the whole that was begun, until its end, or another one
  bool had_whole_ = false;  // what there was has been told, in this run or one before
  bool broken_ = true;      // the next followed() begins a span
  std::atomic<std::int64_t> followed_until_{kNever};
  Guarded<IdentitySourceReport> report_;
};

}  // namespace natsession
