// Least privilege: a process keeps the capabilities that it uses while it runs, and no others, and where it
// was started as root it may go on as a user of its own.
// Threads: called while there is one; threads started later inherit.
#pragma once

#include <sys/types.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace natsession {

// Whom to go on as.
struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // all of them
};

// The one that `--user` means; none: this process stays who it is.
// Errors: kUsage if there is none of that name, or if this process cannot become it.
[[nodiscard]] Result<std::optional<User>> find_user(const std::string& name);

// The one that the command of an exec sink runs as, by `name`, or, where that is empty, natsession-exec where
// there is such a user, and nobody otherwise; if this process is not root, and none is named, none.
// Errors: kUsage as find_user(); and if there is neither of the two.
[[nodiscard]] Result<std::optional<User>> find_command_user(const std::string& name);

// Gives up every capability but `kept` (CAP_*), as far as it has them, also for programs that this one might
// start, and becomes `user`, if there is one. Where a sandbox refuses that, CAP_NET_ADMIN may be left in this
// process, and in no program that it starts.
// Errors: the kernel refused, with the cause.
Result<void> keep_only(std::initializer_list<int> kept, const std::optional<User>& user);
[[nodiscard]] bool holds_capabilities();

// Before keep_only(): the folder of the ledger and those of the sockets are made where they are absent,
// with those above them, and are the user's.
// Errors: one cannot be made.
Result<void> make_folders(const Config& config, const std::optional<User>& user);

// Who may read beside the daemon's own user; none: nobody.
struct Readers {
  std::string group;  // its name, also where there is no such group
  std::optional<gid_t> gid;
};
// Errors: kUsage if a group that the configuration names is not there, also the one that may steer.
[[nodiscard]] Result<Readers> find_readers(const Config& config);

// Before keep_only(), behind make_folders(): the ledger, with all that is in it and will be, is its readers'
// to read.
// Errors: kPermission if a group that was asked for by name cannot be given it. For one that was not it
// stays as it is.
Result<void> share_ledger(const Config& config, const Readers& readers);

// Likewise, behind share_ledger(): who may read the log of assignments, which is in the ledger's folder: the
// members of --identity-group, and without it nobody but the daemon's user; not the ledger's readers.
// Errors: kUsage if there is no such group; kPermission, kUnavailable with the path.
Result<void> set_up_identity(const Config& config, const std::optional<User>& user);

// After keep_only(): whether `user` may do in folders that are there already what it will have to do, and may
// look at the namespaces that are watched.
// Errors: kPermission, naming the path, the user, and the way out.
Result<void> check_access(const Config& config, const User& user);

// What to add to an error after keep_only(): the way out.
[[nodiscard]] Error explain_refusal(Error error, const std::optional<User>& user);

}  // namespace natsession
