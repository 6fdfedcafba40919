// IdentityWriter: writes the log of assignments, `identity` in a ledger's directory. FORMAT.md has the bytes.
// Threads: one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "identity/assignment.h"
#include "identity/assignment_block.h"

namespace natsession {

struct IdentitySettings {
  std::chrono::seconds keep{0};  // what ended so long ago is deleted; 0: nothing is
};

class IdentityWriter {
 public:
  // Makes what is absent. What is torn at the end is cut.
  // Errors: kUnavailable if another writer has it, or a newer program wrote it; kPermission, kIo.
  [[nodiscard]] static Result<std::unique_ptr<IdentityWriter>> open(const std::string& ledger,
                                                                    const IdentitySettings& settings);
  virtual ~IdentityWriter() = default;

  // Those of a source that are open, by the log: what a run before left. `visit` writes nothing.
  virtual void each_open_of(std::string_view source,
                            const std::function<void(const AssignmentView&)>& visit) = 0;
  // Until when that source was followed; none: never.
  [[nodiscard]] virtual std::optional<UnixMs> followed_until(std::string_view source) = 0;

  // A new one, or an end of one that is there. Kept in memory until commit().
  virtual void put(const AddressAssignment& assignment) = 0;
  // Grows the last span of that source if it begins where that ended, else begins another.
  virtual void follow(const SourceSpan& span) = 0;
  // What was put is readable for others when it returns, and on the disk where `sync` says so. On error it
  // stays in memory and the next call tries again.
  // Errors: kIo, kUnavailable (a disk that is full) with the path.
  virtual Result<void> commit(bool sync) = 0;
  // Deletes what is older than the settings say, and does a part of what puts older files in order; for a
  // time without work.
  virtual Result<void> tidy(UnixMs now) = 0;

  // What time it is for retention from now on, where a clock that is set wrong must delete nothing
  // (AgeClock); without it tidy()'s own.
  virtual void set_age_now(UnixMs now) { static_cast<void>(now); }

  // Subscribers of whom all was deleted on request since the last call (identity_forget.h). What is open of
  // theirs is to be let go in memory: who is seen again is new from then on. Until it is let go, put() cuts
  // what it is given of them down to the time behind the request.
  [[nodiscard]] virtual std::vector<std::string> take_forgotten() = 0;
  // That put() could not keep something since the last call, as the disk took nothing for long: what is open
  // is to be put anew. The time is followed no longer until follow() begins anew.
  [[nodiscard]] virtual bool take_lost() = 0;
};

}  // namespace natsession
