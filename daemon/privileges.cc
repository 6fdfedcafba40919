#include "privileges.h"

#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "conntrack/network_namespace.h"
#include "http/peer.h"
#include "identity/identity_directory.h"

namespace natsession {
namespace {

// Whom a program that was started as root goes on as, where there is such a user and none is named.
constexpr const char* kDefaultUser = "natsession";
// Whom commands run as. Not as the former, who may write the ledger.
constexpr std::array kCommandUsers{"natsession-exec", "nobody"};

// None: this process is that user already.
Result<std::optional<User>> user_named(std::string_view option, const std::string& name) {
  const passwd* const entry = getpwnam(name.c_str());
  if (entry == nullptr) return usage_error(fmt::format("{}: there is no user {}", option, name));
  if (entry->pw_uid == geteuid()) return std::optional<User>();
  if (geteuid() != 0)
    return usage_error(
        fmt::format("{0}: only root can become {1}; without {0} this program stays who it is", option, name));
  User user{.name = name, .uid = entry->pw_uid, .gid = entry->pw_gid, .groups = {}};
  int count = 64;
  user.groups.resize(static_cast<std::size_t>(count));
  while (getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0)
    user.groups.resize(static_cast<std::size_t>(count));
  user.groups.resize(static_cast<std::size_t>(count));
  return std::optional(std::move(user));
}

Result<void> become(const User& user) {
  const auto failed = [&](int error_number) {
    return system_error("become user " + user.name, error_number);
  };
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return failed(errno);
  if (setgroups(user.groups.size(), user.groups.data()) != 0) return failed(errno);
  if (setresgid(user.gid, user.gid, user.gid) != 0) return failed(errno);
  if (setresuid(user.uid, user.uid, user.uid) != 0) return failed(errno);
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return failed(errno);
  return {};
}

Error refused(const std::string& path, const User& user, const std::string& way_out) {
  return {ErrorKind::kPermission,
          fmt::format("{}: user {} may not write there: {}, or --user root", path, user.name, way_out)};
}

bool may_write(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

constexpr const char* kDefaultReaders = "natsession";

// By descriptors, and only files with one name: who may write in the ledger must not have root give away what
// lies elsewhere. False, with errno, if the kernel refuses. `but`: what of the folder is left as it is.
bool share(int folder_fd, const char* name, gid_t readers, int follow, std::string_view but = {}) {
  const UniqueFd fd(::openat(folder_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | follow));
  struct stat there {};
  if (!fd || ::fstat(fd.get(), &there) != 0) return errno == ENOENT || errno == ELOOP || errno == ENXIO;
  const bool folder = S_ISDIR(there.st_mode);
  if (!folder && (!S_ISREG(there.st_mode) || there.st_nlink != 1)) return true;
  // What is made in a folder with the set-group-ID bit has the folder's group.
  const mode_t wanted = folder ? S_ISGID | S_IRGRP | S_IXGRP : S_IRGRP;
  const bool given = there.st_gid == readers;
  if (!given && ::fchown(fd.get(), static_cast<uid_t>(-1), readers) != 0) return false;
  if ((!given || (there.st_mode & wanted) != wanted) &&
      ::fchmod(fd.get(), (there.st_mode & 07777) | wanted) != 0)
    return false;
  if (!folder) return true;
  const int listed = ::openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(listed < 0 ? nullptr : ::fdopendir(listed), ::closedir);
  if (!entries) return false;
  while (const dirent* const entry = ::readdir(entries.get())) {
    const std::string_view within = entry->d_name;
    if (within != "." && within != ".." && within != but &&
        !share(fd.get(), entry->d_name, readers, O_NOFOLLOW))
      return false;
  }
  return true;
}

}  // namespace

Result<std::optional<User>> find_user(const std::string& name) {
  if (!name.empty()) return user_named("user", name);
  if (geteuid() != 0 || getpwnam(kDefaultUser) == nullptr) return std::optional<User>();
  return user_named("user", kDefaultUser);
}

Result<std::optional<User>> find_command_user(const std::string& name) {
  if (!name.empty()) return user_named("run_as", name);
  if (geteuid() != 0) return std::optional<User>();
  for (const char* usual : kCommandUsers) {
    if (getpwnam(usual) != nullptr) return user_named("run_as", usual);
  }
  return usage_error(fmt::format("there is neither a user {} nor {} for its command: name one by run_as=",
                                 kCommandUsers[0], kCommandUsers[1]));
}

Result<void> keep_only(std::initializer_list<int> kept, const std::optional<User>& user) {
  // Without CAP_SETPCAP the bounding set cannot be narrowed; then there is little in it that could be used.
  for (cap_value_t capability = 0; cap_get_bound(capability) >= 0; ++capability) {
    if (std::find(kept.begin(), kept.end(), capability) == kept.end()) (void)cap_drop_bound(capability);
  }
  if (user) {
    if (auto became = become(*user); !became) return became;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error("prctl(PR_SET_NO_NEW_PRIVS)", errno);

  const auto release = [](cap_t set) { cap_free(set); };
  const std::unique_ptr<std::remove_pointer_t<cap_t>, decltype(release)> held(cap_get_proc(), release);
  const std::unique_ptr<std::remove_pointer_t<cap_t>, decltype(release)> wanted(cap_init(), release);
  if (!held || !wanted) return system_error("capabilities of this process", errno);
  for (const cap_value_t capability : kept) {
    cap_flag_value_t permitted = CAP_CLEAR;
    if (cap_get_flag(held.get(), capability, CAP_PERMITTED, &permitted) != 0 ||
        cap_set_flag(wanted.get(), CAP_PERMITTED, 1, &capability, permitted) != 0 ||
        cap_set_flag(wanted.get(), CAP_EFFECTIVE, 1, &capability, permitted) != 0) {
      return system_error("capabilities of this process", errno);
    }
  }
  // What a program that is started would have of them: that takes no capset().
  (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (cap_set_proc(wanted.get()) == 0) return {};
  const int refusal = errno;
  // A sandbox may refuse the call (systemd's @privileged has it). That is no harm where nothing is held that
  // the daemon would not keep.
  for (cap_value_t capability = 0; cap_get_bound(capability) >= 0; ++capability) {
    cap_flag_value_t permitted = CAP_CLEAR;
    if (cap_get_flag(held.get(), capability, CAP_PERMITTED, &permitted) != 0 ||
        (permitted == CAP_SET && capability != CAP_NET_ADMIN))
      return system_error("giving up capabilities", refusal);
  }
  return {};
}

bool holds_capabilities() {
  const std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)> held(cap_get_proc(), cap_free);
  cap_flag_value_t permitted = CAP_CLEAR;
  for (cap_value_t capability = 0;
       held && cap_get_flag(held.get(), capability, CAP_PERMITTED, &permitted) == 0; ++capability) {
    if (permitted == CAP_SET) return true;
  }
  return false;
}

Result<void> make_folders(const Config& config, const std::optional<User>& user) {
  const auto make = [&](const std::string& path, mode_t mode) -> Result<void> {
    if (::mkdir(path.c_str(), mode) != 0) {
      if (errno == EEXIST) return {};
      return system_error("make directory " + path, errno, ErrorKind::kUnavailable);
    }
    if (user && ::lchown(path.c_str(), user->uid, user->gid) != 0)
      return system_error(fmt::format("give {} to user {}", path, user->name), errno);
    return {};
  };
  const auto make_all = [&](const std::filesystem::path& path, mode_t mode) -> Result<void> {
    std::filesystem::path above;
    for (const std::filesystem::path& part : path.parent_path()) {
      above /= part;
      if (above == "/") continue;
      if (auto made = make(above, 0755); !made) return made;
    }
    return make(path, mode);
  };
  if (!config.ledger.empty()) {
    if (auto made = make_all(std::filesystem::path(config.ledger + "/").parent_path(), 0750); !made)
      return made;
  }
  // That of the other one is another program's to make, where this one is not root.
  for (const std::string& socket : {config.control, ::geteuid() == 0 ? config.handover : std::string()}) {
    const std::filesystem::path folder = std::filesystem::path(socket).parent_path();
    if (folder.empty()) continue;
    if (auto made = make_all(folder, 0755); !made) return made;
  }
  return {};
}

Result<Readers> find_readers(const Config& config) {
  const auto missing = [](const std::string& option, const std::string& group) {
    return usage_error(fmt::format("{}: there is no group {}", option, group));
  };
  if (!config.steer_group.empty() && !find_group(config.steer_group))
    return missing("steer-group", config.steer_group);
  const std::string& asked = config.control_group;
  Readers readers{asked.empty() ? kDefaultReaders : asked,
                  find_group(asked.empty() ? kDefaultReaders : asked)};
  if (!asked.empty() && !readers.gid) return missing("control-group", asked);
  return readers;
}

Result<void> share_ledger(const Config& config, const Readers& readers) {
  if (config.ledger.empty() || !readers.gid) return {};
  if (share(AT_FDCWD, config.ledger.c_str(), *readers.gid, 0, kIdentityFolder) ||
      config.control_group.empty())
    return {};
  return system_error(fmt::format("give ledger {} to group {}", config.ledger, readers.group), errno);
}

Result<void> set_up_identity(const Config& config, const std::optional<User>& user) {
  if (config.identity.empty()) return {};
  const std::string path = fmt::format("{}/{}", config.ledger, kIdentityFolder);
  constexpr mode_t kOwnOnly = 0700;
  if (::mkdir(path.c_str(), kOwnOnly) != 0 && errno != EEXIST)
    return system_error("make directory " + path, errno, ErrorKind::kUnavailable);
  const UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return system_error("open " + path, errno);
  if (user && ::fchown(folder.get(), user->uid, static_cast<gid_t>(-1)) != 0)
    return system_error(fmt::format("give {} to user {}", path, user->name), errno);
  if (config.identity_group.empty()) {
    if (::fchmod(folder.get(), kOwnOnly) != 0) return system_error("change the mode of " + path, errno);
    return {};
  }
  const auto gid = find_group(config.identity_group);
  if (!gid) return usage_error(fmt::format("identity-group: there is no group {}", config.identity_group));
  struct stat there {};
  if (::fstat(folder.get(), &there) != 0) return system_error("look at " + path, errno);
  // A folder that was copied or restored may let everybody in.
  if ((there.st_mode & S_IRWXO) != 0 && ::fchmod(folder.get(), there.st_mode & 0770) != 0)
    return system_error("change the mode of " + path, errno);
  if (share(folder.get(), ".", *gid, 0)) return {};
  // A sandbox may refuse the set-group-ID bit (RestrictSUIDSGID=). Then files keep the ledger's group, and
  // who is in both may read them, since the folder lets nobody else in.
  constexpr mode_t kGroupToo = 0750;
  if (::fchown(folder.get(), static_cast<uid_t>(-1), *gid) != 0 || ::fchmod(folder.get(), kGroupToo) != 0)
    return system_error(fmt::format("give {} to group {}", path, config.identity_group), errno);
  return {};
}

Result<void> check_access(const Config& config, const User& user) {
  if (!config.ledger.empty()) {
    std::error_code error;
    std::filesystem::recursive_directory_iterator at(config.ledger, error);
    std::string path = config.ledger;
    bool may = !error && may_write(path);
    for (; may && !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
      path = at->path();
      // A retention that deletes meanwhile is no reason.
      may = may_write(path) || errno == ENOENT;
    }
    if (!may || error) return refused(path, user, fmt::format("chown -R {}: {}", user.name, config.ledger));
  }
  for (const std::string& netns : config.netns) {
    const auto seen = NetworkNamespace::identify(netns);
    if (seen || seen.error().kind != ErrorKind::kPermission || !NetworkNamespace::outlives(netns)) continue;
    return Error{
        ErrorKind::kPermission,
        fmt::format("{}; user {} must be able to, to notice when another one takes its place: name it "
                    "otherwise, or --user root",
                    seen.error().message, user.name)};
  }
  return {};
}

Error explain_refusal(Error error, const std::optional<User>& user) {
  if (error.kind == ErrorKind::kPermission && user) {
    error.message += fmt::format(
        "; this program goes on as user {0}: chown {0}: that path, or give it a folder "
        "that is {0}'s, or --user root",
        user->name);
  }
  return error;
}

}  // namespace natsession
