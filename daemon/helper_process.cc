#include "helper_process.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "sink/local/child_process.h"

namespace natsession {
namespace {

constexpr int kCannotBegin = 1;

// What it may say, which is a sanitizer's report at most, goes where this program's messages go.
void close_all_but(int link, int held) {
  const auto close_between = [](int first, int last) {
    if (first <= last) ::close_range(static_cast<unsigned>(first), static_cast<unsigned>(last), 0);
  };
  ::close(STDIN_FILENO);
  ::close(STDOUT_FILENO);
  const auto [low, high] = std::minmax(link, held < 0 ? link : held);
  close_between(STDERR_FILENO + 1, low - 1);
  close_between(low + 1, high - 1);
  ::close_range(static_cast<unsigned>(high) + 1, ~0U, 0);
}

struct Place {
  const char* name;
  std::initializer_list<int> kept;
  const std::optional<User>& user;
  int held;  // a descriptor; -1: none
  enum class Life : std::uint8_t { kKilledWithParent, kFinishes, kOutlives } life;
};
using Life = Place::Life;

[[noreturn]] void run_as(const Place& place, int link, pid_t parent,
                         const std::function<void(int link)>& body) {
  ::setsid();
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  close_all_but(link, place.held);
  if (place.life ==
      Life::kOutlives) {  // who reads this program's messages is not to wait for another one's end
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(nowhere, STDERR_FILENO);
    ::close(nowhere);
  }
  ::prctl(PR_SET_NAME, place.name, 0, 0, 0);
  if (!keep_only(place.kept, place.user)) ::_exit(kCannotBegin);
  // It is a copy of a program that knows the secrets of sinks, and who is the same user must not look into
  // it.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // After user and capabilities, whose change may clear it.
  if (place.life == Life::kKilledWithParent &&
      (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || ::getppid() != parent))
    ::_exit(kCannotBegin);
  body(link);
  ::_exit(0);
}

struct Started {
  pid_t pid;
  UniqueFd link;
};

Result<Started> start_process(const Place& place, const std::function<void(int link)>& body) {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return system_error("socketpair", errno, ErrorKind::kUnavailable);
  UniqueFd here(ends[0]);
  const UniqueFd there(ends[1]);
  const timeval patience{.tv_sec = 1, .tv_usec = 0};  // with a process that takes nothing
  if (::setsockopt(here.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0)
    return system_error("socketpair", errno, ErrorKind::kUnavailable);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0)
    return system_error(std::string("fork a process for ") + place.name, errno, ErrorKind::kUnavailable);
  if (pid == 0) run_as(place, there.get(), parent, body);
  return Started{pid, std::move(here)};
}

}  // namespace

Result<HelperProcess> HelperProcess::start(const char* name, std::initializer_list<int> kept,
                                           const std::optional<User>& user,
                                           const std::function<void(int link)>& body) {
  auto started = start_process({name, kept, user, /*held=*/-1, Life::kKilledWithParent}, body);
  if (!started) return started.error();
  return HelperProcess(started->pid, std::move(started->link));
}

Result<HelperProcess> HelperProcess::start_finishing(const char* name, const std::optional<User>& user,
                                                     const std::function<void(int link)>& body) {
  auto started = start_process({name, {}, user, /*held=*/-1, Life::kFinishes}, body);
  if (!started) return started.error();
  return HelperProcess(started->pid, std::move(started->link));
}

Result<UniqueFd> HelperProcess::start_outliving(const char* name, const std::optional<User>& user, int held,
                                                const std::function<void(int link)>& body) {
  auto started = start_process({name, {}, user, held, Life::kOutlives}, body);
  if (!started) return started.error();
  return std::move(started->link);
}

HelperProcess::HelperProcess(HelperProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), link_(std::move(other.link_)) {}

HelperProcess::~HelperProcess() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);  // the end of the link ends it as well, unless it is stopped
  (void)wait_for_end();
}

std::string HelperProcess::wait_for_end() {
  link_.reset();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return CommandEnd{status}.to_string();
}

Result<void> send_message(int link, std::span<const std::byte> bytes, std::span<const int> descriptors) {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};  // is only read
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(link, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return system_error("send to another process", errno);
  return {};
}

Result<LinkMessage> receive_message(int link, std::span<std::byte> buffer) {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t length = 0;
  do {
    length = ::recvmsg(link, &message, MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return system_error("receive from another process", errno);
  LinkMessage received;
  received.length = static_cast<std::size_t>(length);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::array<int, kMaxDescriptors> numbers{};
    std::memcpy(numbers.data(), CMSG_DATA(header), std::min(count, kMaxDescriptors) * sizeof(int));
    for (std::size_t i = 0; i < count && received.descriptor_count < kMaxDescriptors; ++i)
      received.descriptors[received.descriptor_count++].reset(numbers[i]);
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return Error{ErrorKind::kMalformed, "receive from another process: the message is too long"};
  return received;
}

}  // namespace natsession
