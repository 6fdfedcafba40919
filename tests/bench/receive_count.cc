// receive_count: the floor that every logger is measured against. It receives conntrack events and counts
// them, on a 10 ms tick while they come, and does nothing else: no logger that hears of every session can be
// cheaper.
//
// Usage: receive_count GROUPS [BUFFER_BYTES [unreliable]]   GROUPS: some of n(ew) u(pdate) d(estroy), such as
// nd unreliable: the kernel does not keep what does not fit. Prints "ready" when it is subscribed. On
// SIGTERM: one line "new N update N destroy N cpu SECONDS lost N".
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace {

volatile std::sig_atomic_t stop_requested = 0;
void request_stop(int) {
  stop_requested = 1;
}

struct Counts {
  std::uint64_t created = 0;
  std::uint64_t updated = 0;
  std::uint64_t destroyed = 0;
};

constexpr std::size_t kSlots = 64;
constexpr std::size_t kSlotSize = 4096;

void count(const char* message, std::size_t length, Counts& counts) {
  nlmsghdr header{};
  if (length < sizeof header) return;
  std::memcpy(&header, message, sizeof header);
  if ((header.nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE) {
    ++counts.destroyed;
  } else if ((header.nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL)) != 0) {
    ++counts.created;
  } else {
    ++counts.updated;
  }
}

// Everything that is queued. Returns how many messages there were.
std::size_t receive_all(int fd, std::vector<char>& slots, Counts& counts) {
  std::array<mmsghdr, kSlots> messages{};
  std::array<iovec, kSlots> vectors{};
  for (std::size_t i = 0; i < kSlots; ++i) {
    vectors[i] = {slots.data() + i * kSlotSize, kSlotSize};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  std::size_t all = 0;
  for (;;) {
    const int received = recvmmsg(fd, messages.data(), kSlots, MSG_DONTWAIT, nullptr);
    if (received <= 0) return all;
    for (std::size_t i = 0; i < static_cast<std::size_t>(received); ++i) {
      count(slots.data() + i * kSlotSize, messages[i].msg_len, counts);
    }
    all += static_cast<std::size_t>(received);
  }
}

std::uint32_t drops(int fd) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info.data(), &size);
  return info[SK_MEMINFO_DROPS];
}

int subscribe(const char* groups, int buffer, bool reliable) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_NETFILTER);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;  // NOLINT
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  const int one = 1;
  if (reliable) setsockopt(fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, &one, sizeof one);
  setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof one);
  for (const char* letter = groups; *letter != '\0'; ++letter) {
    const int group = *letter == 'n'   ? NFNLGRP_CONNTRACK_NEW
                      : *letter == 'u' ? NFNLGRP_CONNTRACK_UPDATE
                                       : NFNLGRP_CONNTRACK_DESTROY;
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) return -1;
  }
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  const char* const groups = argc > 1 ? argv[1] : "nd";
  const int buffer = argc > 2 ? std::atoi(argv[2]) : 64 << 20;
  std::signal(SIGTERM, request_stop);
  const int fd = subscribe(groups, buffer, argc <= 3);
  if (fd < 0) {
    std::perror("receive_count");
    return 3;
  }
  std::puts("ready");
  std::fflush(stdout);

  std::vector<char> slots(kSlots * kSlotSize);
  Counts counts;
  bool idle = true;
  while (stop_requested == 0) {
    if (idle) {
      pollfd poller{fd, POLLIN, 0};
      poll(&poller, 1, 100);
    } else {
      usleep(10'000);
    }
    idle = receive_all(fd, slots, counts) == 0;
  }
  receive_all(fd, slots, counts);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  std::printf("new %lu update %lu destroy %lu cpu %.3f lost %u\n", counts.created, counts.updated,
              counts.destroyed, seconds(usage.ru_utime) + seconds(usage.ru_stime), drops(fd));
  return 0;
}
