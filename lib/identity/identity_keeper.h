// IdentityKeeper: makes assignments of what sources tell, puts them into the log, and knows whose an address
// is or was a moment ago.
// Threads: find() and report() any; all else one, the one on which sources take their turns.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "base/short_text.h"
#include "base/time.h"
#include "identity/assignment_table.h"
#include "identity/identity_report.h"
#include "identity/identity_source.h"
#include "identity/identity_writer.h"

namespace natsession {

class IdentityKeeper {
 public:
  struct Settings {
    // What ended is found so long in memory: records reach a sink up to a window later.
    std::chrono::milliseconds remember = std::chrono::minutes(20);
    std::chrono::milliseconds commit_every = std::chrono::seconds(1);
    // A lease that was not renewed has ended so long after it expired: a server tells it a moment later.
    std::chrono::milliseconds grace = std::chrono::seconds(5);
    // A source that was not followed for so long up to a time says nothing of it.
    std::chrono::milliseconds behind = std::chrono::seconds(10);
    bool sync = true;
  };
  static constexpr std::size_t kMaxSources = AssignmentTable::kMaxSources;

  IdentityKeeper(std::unique_ptr<IdentityWriter> writer, const Settings& settings);
  ~IdentityKeeper();

  // What that source tells goes in here. Takes up what a run before left open. Lives as long as the keeper.
  [[nodiscard]] IdentityOutput& add_source(std::string name, std::string netns);
  struct Worked {
    std::chrono::milliseconds next{};  // when it wants to be called again
    bool committed = false;            // what sources told so far is in the log
  };
  // To be called between turns: ends what has expired, commits. `age_now`: what time it is for retention,
  // where that is known; where it is not nothing is deleted by age.
  Worked work(UnixMs now, std::optional<UnixMs> age_now = std::nullopt);
  // All is in the log; at the end.
  Result<void> finish(UnixMs now);
  // Of nobody any more: what is in memory of that subscriber.
  void forget(std::string_view subscriber);

  // Where the texts go that are asked for; those that nobody tells become empty.
  struct Names {
    ShortText* subscriber = nullptr;
    ShortText* mac = nullptr;
    ShortText* host = nullptr;
  };
  // Who had the address at `end`, or where that one had it after `start` only, who had it at `start`. The
  // source that was added first goes before others; of one source the longer prefix. False: not known, also
  // where it was too long ago; `names` are as they were then.
  [[nodiscard]] bool find(std::string_view netns, const IpAddress& address, UnixMs start, UnixMs end,
                          const Names& names) const;
  struct Question {
    std::string_view netns;
    IpAddress address;
    UnixMs start, end;
    Names names;
    bool known = false;  // the answer
  };
  // find() of each, which together wait for memory hardly longer than one.
  void find_all(std::span<Question> questions) const;
  // Of what was before, find() may not know what the log does. `now`: the time.
  [[nodiscard]] UnixMs remembers_since(UnixMs now) const {
    return std::max(now - settings_.remember,
                    UnixMs(std::chrono::milliseconds(remembered_since_.load(std::memory_order_relaxed))));
  }
  [[nodiscard]] IdentityReport report() const;

 private:
  class Source;
  // find(), under the lock.
  [[nodiscard]] bool find_held(const Question& asked, const AssignmentTable::Entry* brought) const;
  // Of each source that knows one, in the sources' order.
  struct Holders {
    std::array<AssignmentTable::Index, 8> index{};
    std::size_t count = 0;
  };
  [[nodiscard]] Holders holders_at(const Question& asked, UnixMs time) const;
  // Whether its prefix was assigned by it then, as far as anybody can know.
  [[nodiscard]] bool was_there(const AssignmentTable::Entry& entry, std::string_view netns,
                               UnixMs time) const;
  [[nodiscard]] AddressAssignment assignment_of(AssignmentTable::Index index) const;
  void begin(Source& source, const SeenAssignment& seen, UnixMs at);
  // Into the table and the log; false: the table is full.
  bool add(const AssignmentTable::New& begun);
  // Between these two times.
  void end(AssignmentTable::Index index, UnixMs until, UnixMs until_latest);
  void expire(UnixMs now);
  void put_all_anew(UnixMs now);
  void put(const AddressAssignment& assignment);
  void each_open_of(const Source& source, void (*change)(AssignmentTable::Entry&));
  void clock_was_set_back(Source& source, UnixMs now);
  [[nodiscard]] std::uint16_t group_of(Source& source, std::string_view group);
  // 0: none is known by that name.
  [[nodiscard]] std::uint16_t known_group(std::string_view group) const;

  const std::unique_ptr<IdentityWriter> writer_;
  const Settings settings_;
  mutable std::shared_mutex mutex_;  // of the table, and what look-ups need of sources
  AssignmentTable table_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::map<std::string, std::uint16_t, std::less<>> groups_;  // from 1
  std::vector<std::string> group_names_{std::string()};       // by number
  AssignmentTable::Index sweep_ = 0;
  std::optional<UnixMs> committed_;
  std::optional<UnixMs> swept_;
  std::size_t waiting_ = 0;  // that were put since the last commit
  std::atomic<std::int64_t> remembered_since_{0};
  Guarded<std::string> failure_;  // of the last commit; empty: it went well
};

}  // namespace natsession
