#include "http/listen_socket.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <tuple>
#include <vector>

#include <fcntl.h>
#include <netdb.h>
#include <unistd.h>

#include "base/files.h"
#include "http/peer.h"

namespace natsession {
namespace {

constexpr int kBacklog = 4096;  // as much as the kernel lets by default: who waits is served in turn

std::string name_of(const std::string& path, const SocketWords& words) {
  return words.what + path;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // NOLINT: the socket API's own cast
}

// Who listens at `address`: its pid, 0 if it will not say; nullopt if nobody does.
std::optional<pid_t> listener_at(const sockaddr_un& address) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return 0;  // not known: nothing is replaced
  // EAGAIN: somebody listens, and has much to do.
  if (::connect(probe.get(), as_sockaddr(address), sizeof address) != 0 && errno != EAGAIN) {
    if (errno == ECONNREFUSED || errno == ENOENT) return std::nullopt;
    return 0;
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Two daemons that start at once must not both replace a stale socket. The lock is on the folder, and only
// for the moment; where it cannot be had, the start goes on without.
UniqueFd lock_folder_of(const std::string& path) {
  UniqueFd fd(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fd;
  for (int tries = 0; tries < 100 && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
       ++tries) {
    ::usleep(10'000);
  }
  return fd;
}

// Binds with mode 0660. Returns errno, or 0.
int bind_safely(int fd, const sockaddr_un& address) {
  const mode_t before = ::umask(0117);
  const int error = ::bind(fd, as_sockaddr(address), sizeof address) == 0 ? 0 : errno;
  ::umask(before);
  return error;
}

Result<sockaddr_un> address_of(const std::string& path, const SocketWords& words) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error{ErrorKind::kUsage, name_of(path, words) + ": a path of 1 to " +
                                        std::to_string(sizeof address.sun_path - 1) + " bytes is needed"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// What stands at the path of a socket that is to be made.
struct Place {
  bool taken = false;             // by a socket, perhaps a dead one
  std::optional<pid_t> listener;  // that lives; 0: it is not known which
};
Result<Place> look_at(const std::string& path, const sockaddr_un& address, const SocketWords& words) {
  struct stat there {};
  if (::lstat(path.c_str(), &there) != 0) {
    if (errno == ENOENT) return Place{};
    return system_error(name_of(path, words) + ": lstat", errno);
  }
  if (!S_ISSOCK(there.st_mode)) {
    return Error{ErrorKind::kUsage,
                 name_of(path, words) + ": there is something else than a socket; it is left alone"};
  }
  return Place{true, listener_at(address)};
}

// Makes room for a new socket where a dead one is.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address, const SocketWords& words) {
  const auto place = look_at(path, address, words);
  if (!place) return place.error();
  if (const auto pid = place->listener) {
    const std::string who = *pid > 0 ? "process " + std::to_string(*pid) : "another process";
    return Error{ErrorKind::kUnavailable,
                 name_of(path, words) + ": " + who + " listens there: " + words.way_out};
  }
  if (place->taken && ::unlink(path.c_str()) != 0 && errno != ENOENT)
    return system_error(name_of(path, words) + ": unlink", errno);
  return {};
}

}  // namespace

Result<UnixListener> UnixListener::open(const std::string& path, const std::string& group,
                                        const SocketWords& words) {
  const auto named = address_of(path, words);
  if (!named) return named.error();
  const sockaddr_un& address = *named;

  UnixListener listener;
  listener.fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.fd_) return system_error(name_of(path, words) + ": socket", errno);
  // As /run/natsessiond, when no service manager has made it.
  if (::mkdir(folder_of(path).c_str(), 0755) != 0 && errno != EEXIST) {
    return system_error(name_of(path, words) + ": mkdir", errno);
  }
  {
    const UniqueFd lock = lock_folder_of(path);
    if (auto removed = remove_stale(path, address, words); !removed) return removed.error();
    if (const int error = bind_safely(listener.fd_.get(), address); error != 0) {
      return system_error(name_of(path, words) + ": bind", error);
    }
    struct stat made {};
    if (::lstat(path.c_str(), &made) != 0) return system_error(name_of(path, words) + ": lstat", errno);
    listener.path_ = path;
    listener.device_ = made.st_dev;
    listener.inode_ = made.st_ino;
    if (::listen(listener.fd_.get(), kBacklog) != 0)
      return system_error(name_of(path, words) + ": listen", errno);
  }
  // A daemon that may not give it away still serves its own user.
  const auto gid = find_group(group);
  if (gid) std::ignore = ::lchown(path.c_str(), static_cast<uid_t>(-1), *gid);
  return listener;
}

Result<std::optional<pid_t>> UnixListener::probe(const std::string& path) {
  const SocketWords words;
  const auto address = address_of(path, words);
  if (!address) return address.error();
  const auto place = look_at(path, *address, words);
  if (!place) return place.error();
  if (place->listener) return place->listener;
  if (auto made = can_make_in(folder_of(path)); !made)
    return Error{made.error().kind, name_of(path, words) + ": " + made.error().message};
  return std::optional<pid_t>();
}

UnixListener::UnixListener(UnixListener&& other) noexcept {
  *this = std::move(other);
}

UnixListener& UnixListener::operator=(UnixListener&& other) noexcept {
  if (this == &other) return *this;
  remove();
  fd_ = std::move(other.fd_);
  path_ = std::exchange(other.path_, {});
  device_ = other.device_;
  inode_ = other.inode_;
  return *this;
}

UnixListener::~UnixListener() {
  remove();
}

void UnixListener::remove() {
  if (path_.empty()) return;
  struct stat there {};
  if (::lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
  path_.clear();
}

Result<UniqueFd> listen_tcp(const HostPort& where) {
  const std::string name =
      "listen at " + (where.host.empty() ? "*" : where.host) + ":" + std::to_string(where.port);
  addrinfo wanted{};
  wanted.ai_family = where.host.empty() ? AF_INET6 : AF_UNSPEC;  // "::" takes IPv4, too
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(where.host.empty() ? "::" : where.host.c_str(),
                                    std::to_string(where.port).c_str(), &wanted, &found);
  if (failure != 0) return Error{ErrorKind::kUsage, name + ": " + ::gai_strerror(failure)};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);

  UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd && where.host.empty()) return listen_tcp({"0.0.0.0", where.port});  // a kernel without IPv6
  if (!fd) return system_error(name + ": socket", errno);
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (where.host.empty()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return system_error(name + ": bind", errno, ErrorKind::kUnavailable);
  }
  return fd;
}

std::optional<std::uint64_t> tcp_listener(std::uint16_t port) {
  constexpr std::string_view kListening = "0A";
  for (const char* const name : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    std::ifstream file(name);
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string slot, local, remote, state, skipped;
      std::uint64_t inode = 0;
      words >> slot >> local >> remote >> state >> skipped >> skipped >> skipped >> skipped >> skipped >>
          inode;
      const std::size_t colon = local.find(':');
      if (state == kListening && colon != std::string::npos && local.substr(colon + 1).size() == 4 &&
          std::stoul(local.substr(colon + 1), nullptr, 16) == port)
        return inode;
    }
  }
  return std::nullopt;
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return 0;  // NOLINT: the socket API's own
  in_port_t port = 0;
  if (address.ss_family == AF_INET) {
    port = reinterpret_cast<const sockaddr_in*>(&address)->sin_port;  // NOLINT
  } else if (address.ss_family == AF_INET6) {
    port = reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port;  // NOLINT
  }
  return ntohs(port);
}

}  // namespace natsession
