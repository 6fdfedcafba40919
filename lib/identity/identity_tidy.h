// IdentityTidy: puts the log's older files in order, a part at a time: what was told is sorted by address,
// small files become large ones, what is old or is to be forgotten is left out. FORMAT.md has the order in
// which files are made and removed, by which a fall at any moment loses nothing.
// Threads: one.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "identity/identity_directory.h"
#include "identity/identity_merge.h"

namespace natsession {

// What was deleted on request.
struct ForgetReport {
  std::uint64_t assignments = 0;
  std::uint64_t open = 0;   // of these: that were open
  std::uint64_t files = 0;  // that were written anew, or removed
};

class IdentityTidy {
 public:
  IdentityTidy(const IdentityDirectory& directory, std::chrono::seconds keep);
  ~IdentityTidy();

  // Works up to `until`; false: nothing is left to do. `active`: the number of the .open that is being
  // written.
  // Errors: kIo, kPermission with the path; what was begun is given up, and begun anew by a later call.
  Result<bool> work(UnixMs now, std::uint64_t active, std::chrono::steady_clock::time_point until);

  // A .open is complete; or one was there.
  void closed() { look_ = true; }
  // What retention goes by from now on; before, by work()'s time.
  void set_age_now(UnixMs now) { age_now_ = now; }
  // Deletes all of a subscriber from files below `active`, as soon as what is under way is done.
  void forget(const std::string& subscriber, std::function<void(const Result<ForgetReport>&)> done);
  [[nodiscard]] bool forgetting() const { return !forgets_.empty(); }
  // What ended so much longer ago than it is kept may still be there.
  [[nodiscard]] std::chrono::seconds lateness() const;

 private:
  struct Rewriting;
  struct Forget {
    std::string subscriber;
    std::function<void(const Result<ForgetReport>&)> done;
    ForgetReport report;
    bool sealed = false;                   // what is open has been looked through
    std::optional<std::uint64_t> through;  // of the .ended files, by their last
    std::unique_ptr<SealedFile> searched;  // with `search`: whether it has anything
    std::unique_ptr<AssignmentStream> search;
  };

  Result<bool> begin(UnixMs now, std::uint64_t active);
  Result<bool> begin_forget(const IdentityFiles& files, std::uint64_t active);
  Result<void> seal(const IdentityFiles& files, std::uint64_t active);
  Result<void> rewrite(const std::vector<IdentityFileName>& inputs);
  Result<bool> begin_merge(const IdentityFiles& files);
  Result<bool> begin_retention(const IdentityFiles& files);
  Result<bool> search(std::chrono::steady_clock::time_point until);
  Result<void> finish();

  struct Known {
    std::uint64_t assignments = 0;
    UnixMs oldest_end = UnixMs::max();
    bool indexed = true;
  };
  Result<const Known*> known(const IdentityFileName& name);

  const IdentityDirectory& directory_;
  std::chrono::seconds keep_;
  [[nodiscard]] UnixMs age_now() const { return age_now_ ? std::min(*age_now_, now_) : now_; }

  UnixMs now_{};
  std::optional<UnixMs> age_now_;
  bool look_ = true;
  UnixMs claimed_from_ = UnixMs::min();  // what was followed before is not in .current any more
  UnixMs retained_{};                    // when retention looked last
  UnixMs retry_{};                       // after an error not before
  std::unique_ptr<Rewriting> task_;
  std::deque<Forget> forgets_;
  std::map<IdentityFileName, Known> known_;
};

}  // namespace natsession
