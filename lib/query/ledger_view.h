// LedgerView: which segments a ledger has, and what times they hold. Opening it looks at the names and, when
// it is first asked for times, at the trailers of sealed segments; they are kept for the next question, as
// sealed segments never change. It takes no lock and writes nothing.
// Threads: any, one call at a time; scans copy what they need of it when they begin.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/ledger_directory.h"
#include "ledger/segment_format.h"

namespace natsession {

// A segment as it was when the view was made. A sealed one without bounds is damaged or of a newer version.
struct SegmentEntry {
  SegmentName name;
  Ordinal limit = kMaxOrdinal + 1;      // its ordinals are below
  std::optional<SegmentBounds> bounds;  // sealed segments with a good trailer; an open one may still grow
};

// What the whole ledger holds, for messages such as "the ledger begins at …".
struct LedgerSpan {
  std::uint64_t records = 0;
  UnixMs oldest_end, newest_end;  // end_time of records; nothing to say if there are no records
  UnixMs oldest_start;
};

class LedgerView {
 public:
  // Errors: kUnavailable if there is no ledger at `directory`; kPermission, kIo.
  [[nodiscard]] static Result<LedgerView> open(const std::string& directory);
  LedgerView(LedgerView&&) noexcept;
  LedgerView& operator=(LedgerView&&) noexcept;
  ~LedgerView();

  // Looks again: segments that were added, sealed and deleted since.
  // Errors: as open().
  Result<void> refresh();

  [[nodiscard]] const std::vector<SegmentEntry>& segments() const;
  // Walks over the open segments' frame headers; milliseconds.
  // Errors: kIo, kPermission.
  [[nodiscard]] Result<LedgerSpan> span() const;
  [[nodiscard]] const std::string& path() const;

  struct State;
  [[nodiscard]] const State& state() const { return *state_; }  // for Scan

 private:
  explicit LedgerView(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace natsession
