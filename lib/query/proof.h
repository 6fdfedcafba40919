// Proof: whether the ledger proves that it has all there was at a time. It alone decides that: "none" and
// "complete" are claims, which the records cannot carry by themselves.
// Threads: plain value types.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "query/log_store.h"
#include "query/query.h"
#include "query/scan_batch.h"

namespace natsession {

class Proof {
 public:
  // `live_at`: when the daemon was asked for all open sessions that a question may be about, and said that
  // all that ended before is in the ledger.
  explicit Proof(const LogStore& ledger, std::optional<UnixMs> live_at = {});

  // Whether all sessions that ended in this time have their records in the ledger, but for what gap records
  // and damage tell. What is missing, in words; empty: nothing. Without a beginning it is where what is
  // proved begins, without an end where it ends.
  [[nodiscard]] std::string missing(std::optional<UnixMs> from, std::optional<UnixMs> until) const;
  // The same for what sessions moved until then, which may be recorded a window later, or at their end.
  [[nodiscard]] std::string missing_moved(std::optional<UnixMs> from, UnixMs until) const;
  // The same for all sessions that were open at some time in it; of the namespace `netns` alone, unless that
  // is empty. Where another namespace would do without the one that is missing, it says so.
  [[nodiscard]] std::string missing_open(UnixMs from, UnixMs until, const std::string& netns = {}) const;
  // Whether sessions of source NAT alone were logged, by what it proves.
  [[nodiscard]] bool source_nat_alone() const;
  // Until when all that ended is in the ledger, in every namespace; nullopt where nothing is proved.
  [[nodiscard]] std::optional<UnixMs> recorded_until() const;

 private:
  // Who must prove a time: a network namespace, of a box where the log has many.
  struct Watched {
    std::string instance;
    std::string netns;
    [[nodiscard]] bool is_of(const Coverage& coverage) const {
      return coverage.instance == instance && coverage.netns == netns;
    }
    [[nodiscard]] std::string in_words() const;
  };

  // `lacks` says of what covers `from` what it does not prove, in words.
  template <typename Lacks>
  [[nodiscard]] std::string missing_of(UnixMs from, const Watched& watched, const Lacks& lacks) const;
  // The same, of a namespace by its name, on all boxes that may have it.
  template <typename Lacks>
  [[nodiscard]] std::string missing_of_name(UnixMs from, const std::string& netns, const Lacks& lacks) const;
  // The same, of all namespaces.
  template <typename Lacks>
  [[nodiscard]] std::string missing_of_all(UnixMs from, const Lacks& lacks) const;

  // Whether a clock that was set back showed some of the time twice that `one` covers.
  [[nodiscard]] bool comes_twice(UnixMs from, UnixMs until, const Coverage& one) const;

  // Where there is no beginning, that of what is proved.
  [[nodiscard]] UnixMs begin_of(std::optional<UnixMs> from, std::optional<UnixMs> until) const;

  std::vector<Coverage> coverage_;
  std::string why_unproved_;
  std::vector<Watched> watched_;  // ever
  std::optional<UnixMs> live_at_;
};

// Tells of a question's time what is proved of it. `until_now`: its end stands for now.
void tell_proved(const LogStore& ledger, const Query& query, bool until_now, ScanReport& report);

}  // namespace natsession
