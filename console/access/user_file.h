// UserFile: who may log in, in a file of lines NAME:ROLE:HASH; lines that begin with # are comments. It is
// read again when it has changed.
// Threads: any.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "access/role.h"
#include "base/guarded.h"
#include "base/result.h"

namespace natsession::console {

struct KnownUser {
  Role role = Role::kLook;
  std::string hash;  // password.h
  friend bool operator==(const KnownUser&, const KnownUser&) = default;
};
using KnownUsers = std::map<std::string, KnownUser>;

// Errors: kUsage with the line's number.
[[nodiscard]] Result<KnownUsers> parse_users(const std::string& text, const std::string& path);

class UserFile {
 public:
  // Errors: kUnavailable, kPermission if it cannot be read; kUsage if it is malformed, or others may read it.
  [[nodiscard]] static Result<UserFile> open(std::string path);

  // Of the file as it is now; nobody's while it cannot be read.
  [[nodiscard]] std::optional<KnownUser> find(const std::string& name) const;
  [[nodiscard]] std::string trouble() const;  // why it could not be read; empty: it could

  // Makes the file if there is none, with mode 0600, or 0640 and the group that it had.
  // Errors: kUsage if the name will not do; those of writing.
  [[nodiscard]] static Result<void> set(const std::string& path, const std::string& name,
                                        const KnownUser& user);
  // Errors: kUsage if there is no such user.
  [[nodiscard]] static Result<void> remove(const std::string& path, const std::string& name);
  [[nodiscard]] static Result<KnownUsers> read(const std::string& path);

 private:
  struct State {
    dev_t device{};
    ino_t inode{};
    std::int64_t changed_ns = -1;
    KnownUsers users;
    std::string trouble;
  };
  explicit UserFile(std::string path) : path_(std::move(path)), state_(std::make_unique<Guarded<State>>()) {}

  std::string path_;
  std::unique_ptr<Guarded<State>> state_;
};

}  // namespace natsession::console
