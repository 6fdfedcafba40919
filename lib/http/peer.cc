#include "http/peer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include <grp.h>
#include <unistd.h>

namespace natsession {
namespace {

std::vector<gid_t> supplementary_groups(int fd) {
  std::vector<gid_t> groups(64);
  for (int tries = 0; tries < 2; ++tries) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
      groups.resize(size / sizeof(gid_t));
      return groups;
    }
    if (errno != ERANGE) break;
    groups.resize(size / sizeof(gid_t));  // the kernel has said how many there are
  }
  return {};
}

}  // namespace

std::optional<gid_t> find_group(const std::string& name) {
  if (name.empty()) return std::nullopt;
  std::vector<char> buffer(4096);
  group entry{};
  group* found = nullptr;
  int error = 0;
  while ((error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE &&
         buffer.size() < (std::size_t{1} << 20)) {
    buffer.resize(buffer.size() * 2);  // a group of many members
  }
  return error == 0 && found != nullptr ? std::optional(entry.gr_gid) : std::nullopt;
}

bool peer_may_change(int fd, const std::optional<gid_t>& group) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == ::geteuid()) return true;
  if (!group) return false;
  if (peer.gid == *group) return true;
  const std::vector<gid_t> groups = supplementary_groups(fd);
  return std::find(groups.begin(), groups.end(), *group) != groups.end();
}

}  // namespace natsession
