// FlowWindows: what a flow log tells of its windows beside the entries: for each interface NODATA where
// nothing was that it wants, SKIPDATA where something was left out; and the limit of entries.
// Shape:  a window is known by its end. It is over when each part of the log has said so: the sessions of each
//         network namespace, and its refused packets.
// Threads: one, the sink's worker.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "record/session_record.h"

namespace natsession {

struct FlowLimits {
  std::uint64_t entries = 400'000;  // of an interface in kLimitPeriod
  static constexpr std::chrono::minutes kLimitPeriod{10};
};

class FlowWindows {
 public:
  using Interface = std::pair<std::string, std::string>;  // its namespace and its name

  FlowWindows(std::chrono::seconds window, FlowLimits limits) : window_(window), limits_(limits) {}

  // Whether there is room for one more entry of the interface; counts it, or that it was left out.
  bool admit(const SessionRecord& entry);
  // Something of the time is missing: of the interface, or where its name is empty of all.
  void skip(UnixMs from, UnixMs until, const Interface& interface);

  // What is to be told of a window that is over now.
  struct Status {
    SessionRecord window;  // as it was closed
    std::set<Interface> had_entries;
    std::set<Interface> skipped;
    bool all_skipped = false;
    bool is_first = false;  // what was before it, and so perhaps in it, is not known
  };
  // A part says that its window is over; `parts`: of how many. What that closes, the oldest first.
  std::vector<Status> close(const SessionRecord& closed, std::size_t parts);

  // Entries that were left out by the limit, since the start.
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

  // As text, and back. Nothing: what came before is not known, and so not told.
  [[nodiscard]] std::string text() const;
  void restore(std::string_view text);

 private:
  struct Window {
    std::set<Interface> had_entries;
    std::set<Interface> skipped;
    bool all_skipped = false;
    std::set<std::string> parts;  // that have said that it is over
  };
  using Limited = std::map<std::pair<UnixMs, Interface>, std::uint64_t>;

  [[nodiscard]] UnixMs end_of_window(UnixMs time) const;
  [[nodiscard]] Window* window_at(UnixMs end);

  std::chrono::milliseconds window_;
  FlowLimits limits_;
  std::map<UnixMs, Window> windows_;  // by their ends
  Limited counts_;
  UnixMs closed_until_ = UnixMs::min();  // all windows up to here are told
  std::uint64_t left_out_ = 0;
};

}  // namespace natsession
