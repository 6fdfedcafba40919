#include "access/user_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/files.h"

namespace natsession::console {
namespace {

constexpr ByteCount kMaxFile{1 << 20};
constexpr std::size_t kMaxName = 64;

bool is_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '@';
  };
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), fits);
}

Result<void> write_users(const std::string& path, const KnownUsers& users,
                         const std::optional<FileAccess>& access) {
  std::string text =
      "# Users of natsession-console: NAME:ROLE:HASH. natsession-console user set NAME --role ROLE makes "
      "them.\n";
  for (const auto& [name, user] : users)
    text.append(name).append(":").append(to_string(user.role)).append(":").append(user.hash).append("\n");
  const std::filesystem::path file(path);
  const std::string_view parts[] = {text};
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  return replace_file(folder, file.filename().string(), parts, access);
}

}  // namespace

Result<KnownUsers> parse_users(const std::string& text, const std::string& path) {
  KnownUsers users;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    const auto wrong = [&](const std::string& why) {
      return usage_error(path + ", line " + std::to_string(number) + ": " + why);
    };
    if (second == std::string::npos) return wrong("is not NAME:ROLE:HASH");
    const std::string name = line.substr(0, first);
    const auto role = parse_role(line.substr(first + 1, second - first - 1));
    if (!is_name(name)) return wrong("'" + name + "' is no name of a user");
    if (!role) return wrong("the role of " + name + " is not look, ask or steer");
    if (line.size() == second + 1) return wrong(name + " has no hash of a password");
    if (!users.emplace(name, KnownUser{*role, line.substr(second + 1)}).second)
      return wrong(name + " is there twice");
  }
  return users;
}

Result<KnownUsers> UserFile::read(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    return system_error(path + ": cannot be read", errno, ErrorKind::kUnavailable);
  if ((status.st_mode & S_IRWXO) != 0)
    return usage_error(path +
                       ": everybody may read it, and hashes of passwords stand in it; chmod o= " + path);
  const auto text = read_trusted_file(path, kMaxFile, ErrorKind::kUnavailable);
  if (!text) return text.error();
  if (text->size() > kMaxFile.bytes) return usage_error(path + ": is too large for a file of users");
  return parse_users(*text, path);
}

Result<UserFile> UserFile::open(std::string path) {
  const auto users = read(path);
  if (!users) return users.error();
  return UserFile(std::move(path));
}

std::optional<KnownUser> UserFile::find(const std::string& name) const {
  return state_->with([&](State& state) -> std::optional<KnownUser> {
    struct stat status {};
    const bool there = ::stat(path_.c_str(), &status) == 0;
    const std::int64_t changed =
        there ? std::int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec : 0;
    if (changed != state.changed_ns || status.st_ino != state.inode || status.st_dev != state.device) {
      auto users = read(path_);
      state.trouble = users ? std::string() : users.error().message;
      state.users = users ? std::move(*users) : KnownUsers();
      state.changed_ns = changed;
      state.inode = status.st_ino;
      state.device = status.st_dev;
    }
    const auto found = state.users.find(name);
    return found == state.users.end() ? std::nullopt : std::optional(found->second);
  });
}

std::string UserFile::trouble() const {
  return state_->with([](const State& state) { return state.trouble; });
}

Result<void> UserFile::set(const std::string& path, const std::string& name, const KnownUser& user) {
  if (!is_name(name))
    return usage_error("'" + name + "' is no name of a user: letters, digits and ._-@, at most " +
                       std::to_string(kMaxName));
  KnownUsers users;
  FileAccess access{::geteuid(), ::getegid(), 0600};
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    auto known = read(path);
    if (!known) return known.error();
    users = std::move(*known);
    access = {status.st_uid, status.st_gid, status.st_mode & 0640U};
  }
  users[name] = user;
  return write_users(path, users, access);
}

Result<void> UserFile::remove(const std::string& path, const std::string& name) {
  auto users = read(path);
  if (!users) return users.error();
  if (users->erase(name) == 0) return usage_error(path + ": there is no user " + name);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return system_error(path + ": stat", errno);
  return write_users(path, *users, FileAccess{status.st_uid, status.st_gid, status.st_mode & 0640U});
}

}  // namespace natsession::console
