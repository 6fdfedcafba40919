// Coverage: what a ledger proves to be complete: for each network namespace the times in which the logger was
// told of every session, and until when all that ended is in the ledger. What no coverage holds is not known,
// whatever the records say. FORMAT.md has the bytes of the file, `coverage`.
// Threads: plain value types; a CoverageFile one, the writer's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "ledger/frame.h"
#include "record/coverage.h"

namespace natsession {

// The two slots of one span: the later one counts, if the records that prove it are there.
struct CoverageClaim {
  Coverage coverage;
  Ordinal end = 0;  // it is proved by the records below
  Booted booted;    // by the clock that `until` is of
  friend bool operator==(const CoverageClaim&, const CoverageClaim&) = default;
};
using CoverageSpan = std::vector<CoverageClaim>;  // the newer first; one at least

// What the ledger's file says. To be read before the records are looked at, which may be more by then. No
// file is no coverage, and so is what is damaged.
// Errors: kUnavailable if a newer program wrote it; kPermission, kIo.
[[nodiscard]] Result<std::vector<CoverageSpan>> read_coverage(const std::string& directory);
// What of it is proved in a ledger that ends at `end`.
[[nodiscard]] std::vector<CoverageClaim> proved_claims(const std::vector<CoverageSpan>& spans, Ordinal end);

class CoverageFile {
 public:
  // Makes it if it is absent. What ended before `oldest` is left out of it.
  // Errors: kUnavailable if a newer program wrote it; kPermission, kIo.
  [[nodiscard]] static Result<CoverageFile> open(const std::string& directory, Ordinal end, UnixMs oldest);

  // What was in it when it was opened, in the order in which it began.
  [[nodiscard]] const std::vector<CoverageClaim>& before() const { return before_; }

  // Proved by the records below `end`, which are in the ledger. One whose namespace and beginning are known
  // goes on; another is a new one. Not flushed: what a fall of the machine takes is not claimed.
  // Errors: kIo with the path.
  Result<void> store(std::span<const Coverage> proved, Ordinal end, const Booted& booted);

 private:
  struct Place {
    std::string netns;
    UnixMs from;
    std::uint64_t generation = 0;
    std::size_t index = 0;
  };

  std::string directory_;
  UniqueFd fd_;
  std::vector<CoverageClaim> before_;
  std::vector<Place> going_on_;
  std::size_t count_ = 0;  // in the file
};

}  // namespace natsession
