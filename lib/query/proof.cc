#include "query/proof.h"

#include <algorithm>

#include <fmt/format.h>

#include "query/time_text.h"

namespace natsession {

Proof::Proof(const LogStore& ledger, std::optional<UnixMs> live_at)
    : coverage_(ledger.coverage()), why_unproved_(ledger.why_unproved()), live_at_(live_at) {
  for (const Coverage& coverage : coverage_) {
    const bool known = std::any_of(watched_.begin(), watched_.end(),
                                   [&](const Watched& watched) { return watched.is_of(coverage); });
    if (!known) watched_.push_back({coverage.instance, coverage.netns});
  }
}

std::string Proof::Watched::in_words() const {
  std::string words = instance;
  if (!netns.empty()) words += (words.empty() ? "" : ", ") + ("network namespace " + netns);
  return words;
}

template <typename Lacks>
std::string Proof::missing_of(UnixMs from, const Watched& watched, const Lacks& lacks) const {
  std::string why = "not all sessions were logged at this time";
  bool covered = false;
  UnixMs later = UnixMs::max();
  for (const Coverage& coverage : coverage_) {
    if (!watched.is_of(coverage) || coverage.until < from) continue;
    if (coverage.from > from) {
      later = std::min(later, coverage.from);
      continue;
    }
    covered = true;
    why = lacks(coverage);
    if (why.empty()) return {};
  }
  if (!covered && later != UnixMs::max()) why += ", but from " + format_local_time(later) + " on";
  const std::string who = watched.in_words();
  return who.empty() ? why : who + ": " + why;
}

// Records that name no namespace may be of any, on a box of many: its logger watches one alone.
template <typename Lacks>
std::string Proof::missing_of_name(UnixMs from, const std::string& netns, const Lacks& lacks) const {
  bool any = false;
  for (const Watched& watched : watched_) {
    if (watched.netns != netns && (watched.instance.empty() || !watched.netns.empty())) continue;
    any = true;
    std::string why = missing_of(from, watched, lacks);
    if (!why.empty()) return why;
  }
  return any ? std::string() : missing_of(from, Watched{{}, netns}, lacks);
}

template <typename Lacks>
std::string Proof::missing_of_all(UnixMs from, const Lacks& lacks) const {
  if (watched_.empty()) return why_unproved_;
  for (const Watched& watched : watched_) {
    std::string why = missing_of(from, watched, lacks);
    if (!why.empty()) return why;
  }
  return {};
}

// Then two times in which sessions were logged overlap. That of a process which took over from another begins
// when the other's did. What is covered is written once a minute: the earlier one may have gone on for
// longer.
bool Proof::comes_twice(UnixMs from, UnixMs until, const Coverage& one) const {
  constexpr std::chrono::seconds kUntold{70};
  return std::any_of(coverage_.begin(), coverage_.end(), [&](const Coverage& other) {
    if (other.instance != one.instance || other.netns != one.netns || other.from == one.from) return false;
    const UnixMs begin = std::max(one.from, other.from);
    const UnixMs end = std::min(one.until, other.until);
    return begin <= end && until >= begin && from <= end + kUntold;
  });
}

UnixMs Proof::begin_of(std::optional<UnixMs> from, std::optional<UnixMs> until) const {
  if (from) return *from;
  for (const Watched& watched : watched_) {
    UnixMs begin = UnixMs::max();
    for (const Coverage& coverage : coverage_) {
      if (watched.is_of(coverage)) begin = std::min(begin, coverage.from);
    }
    from = std::max(from.value_or(begin), begin);
  }
  if (from && until) from = std::min(*from, *until);
  return from.value_or(UnixMs());
}

std::string Proof::missing(std::optional<UnixMs> from, std::optional<UnixMs> until) const {
  if (!until) until = recorded_until();
  return missing_of_all(begin_of(from, until), [until](const Coverage& coverage) {
    return *until <= coverage.until ? ""
                                    : "what ended is recorded until " + format_local_time(coverage.until);
  });
}

std::string Proof::missing_moved(std::optional<UnixMs> from, UnixMs until) const {
  return missing_of_all(begin_of(from, until), [until](const Coverage& coverage) -> std::string {
    if (coverage.whole && until <= coverage.until) return {};
    const std::string known = "what ended is recorded until " + format_local_time(coverage.until);
    if (coverage.conditions.records != kRecordsByWindow)
      return known + ", and what moved in sessions that go on only when they end";
    const UnixMs by = until + coverage.conditions.window;
    if (by <= coverage.until) return {};
    return known + ", and what moved at this time in sessions that go on as late as " + format_local_time(by);
  });
}

std::string Proof::missing_open(UnixMs from, UnixMs until, const std::string& netns) const {
  const auto lacks = [&](const Coverage& coverage) -> std::string {
    if (comes_twice(from, until, coverage)) return "this time came twice, as the clock was set back";
    if (coverage.whole && until <= coverage.until) return {};
    if (live_at_ && until <= *live_at_ && *live_at_ <= coverage.until) return {};
    const std::string known = "all is recorded until " + format_local_time(coverage.until);
    if (coverage.conditions.records == kRecordsAtEndOnly) {
      return known + ", and sessions that were open then have a record only when they end";
    }
    const UnixMs by = until + coverage.conditions.window + kLongestSilence;
    if (by <= coverage.until) return {};
    return known + ", and sessions that were open and silent at this time may have a record as late as " +
           format_local_time(by);
  };
  if (!netns.empty()) return missing_of_name(from, netns, lacks);
  std::string why = missing_of_all(from, lacks);
  if (why.empty()) return why;
  // One that is not watched any more proves nothing of now; who asks may mean another.
  std::string others;
  for (const Watched& other : watched_) {
    if (other.instance.empty() && !other.netns.empty() && missing_of(from, other, lacks).empty())
      others += (others.empty() ? "" : " or ") + ("--netns " + other.netns);
  }
  return others.empty() ? why : fmt::format("{}; proved is what {} asks about", why, others);
}

bool Proof::source_nat_alone() const {
  return std::any_of(coverage_.begin(), coverage_.end(),
                     [](const Coverage& coverage) { return coverage.conditions.nat == kNatSource; });
}

std::optional<UnixMs> Proof::recorded_until() const {
  std::optional<UnixMs> all;
  for (const Watched& watched : watched_) {
    UnixMs until = UnixMs::min();
    for (const Coverage& coverage : coverage_) {
      if (watched.is_of(coverage)) until = std::max(until, coverage.until);
    }
    all = std::min(all.value_or(until), until);
  }
  return all;
}

void tell_proved(const LogStore& ledger, const Query& query, bool until_now, ScanReport& report) {
  const Proof proof(ledger);
  report.covered_until = proof.recorded_until();
  const auto from = query.end.from     ? query.end.from
                    : query.start.from ? query.start.from
                                       : query.session_start.from;
  const auto begun = query.start.until ? query.start.until : query.session_start.until;
  // Records that began in a time, or have something in common with it, end later.
  report.missing = !until_now && !query.end.until && begun
                       ? proof.missing_moved(from, *begun)
                       : proof.missing(from, until_now ? std::nullopt : query.end.until);
}

}  // namespace natsession
