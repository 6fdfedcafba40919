#include "access/local_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "http/peer.h"

namespace natsession::console {
namespace {

constexpr std::string_view kEstablished = "01";
constexpr std::string_view kCloseWait = "08";

// As /proc/net/tcp has it: the words of the address as numbers of this machine, and the port.
std::string listed(const sockaddr_storage& socket) {
  std::array<char, 64> text{};
  if (socket.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(socket);  // NOLINT: the socket API's own
    std::snprintf(text.data(), text.size(), "%08X:%04X", in.sin_addr.s_addr, ntohs(in.sin_port));
  } else {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(socket);  // NOLINT
    std::array<std::uint32_t, 4> words{};
    std::memcpy(words.data(), &in6.sin6_addr, sizeof words);
    std::snprintf(text.data(), text.size(), "%08X%08X%08X%08X:%04X", words[0], words[1], words[2], words[3],
                  ntohs(in6.sin6_port));
  }
  return text.data();
}

std::optional<uid_t> owner_of(const char* table, const std::string& local, const std::string& remote) {
  std::ifstream file(table);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string slot, own, other, state, queues, timer, retransmits;
    unsigned long uid = 0;
    unsigned long timeout = 0;
    unsigned long inode = 0;
    if (!(words >> slot >> own >> other >> state >> queues >> timer >> retransmits >> uid >> timeout >>
          inode))
      continue;
    // One that no process has any more shows root's number.
    if (own != local || other != remote || inode == 0) continue;
    if (state != kEstablished && state != kCloseWait) continue;
    return static_cast<uid_t>(uid);
  }
  return std::nullopt;
}

struct KnownAccount {
  std::string name;
  gid_t group;
};

std::optional<KnownAccount> find_user(uid_t uid) {
  std::vector<char> room(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, room.data(), room.size(), &found) != 0 || found == nullptr)
    return std::nullopt;
  return KnownAccount{found->pw_name, found->pw_gid};
}

}  // namespace

std::optional<uid_t> local_peer(int fd) {
  sockaddr_storage own{};
  sockaddr_storage peer{};
  socklen_t length = sizeof own;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) != 0) return std::nullopt;  // NOLINT
  if (own.ss_family == AF_UNIX) {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return std::nullopt;
    return who.uid;
  }
  length = sizeof peer;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0) return std::nullopt;  // NOLINT
  const char* const table = own.ss_family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6";
  if (auto found = owner_of(table, listed(peer), listed(own))) return found;
  if (own.ss_family != AF_INET6) return std::nullopt;
  // IPv4 at a socket of both: the peer's own may be of IPv4.
  const auto v4 = [](const sockaddr_storage& mapped) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(mapped);  // NOLINT
    sockaddr_storage plain{};
    auto& in = reinterpret_cast<sockaddr_in&>(plain);  // NOLINT
    in.sin_family = AF_INET;
    in.sin_port = in6.sin6_port;
    std::memcpy(&in.sin_addr, &in6.sin6_addr.s6_addr[12], sizeof in.sin_addr);
    return plain;
  };
  return owner_of("/proc/net/tcp", listed(v4(peer)), listed(v4(own)));
}

std::string user_name(uid_t uid) {
  const auto user = find_user(uid);
  return user ? user->name : std::to_string(uid);
}

bool is_member(uid_t uid, const std::string& group) {
  const auto wanted = find_group(group);
  const auto user = wanted ? find_user(uid) : std::nullopt;
  if (!user) return false;
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  // Says how many there are where they do not fit.
  while (::getgrouplist(user->name.c_str(), user->group, groups.data(), &count) < 0)
    groups.resize(static_cast<std::size_t>(count));
  groups.resize(static_cast<std::size_t>(count));
  return std::find(groups.begin(), groups.end(), *wanted) != groups.end();
}

}  // namespace natsession::console
