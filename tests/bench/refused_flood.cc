// refused_flood: a flood of TCP SYNs from many addresses, put on an interface as frames.
//
// Usage: refused_flood INTERFACE TO_MAC DESTINATION RATE SECONDS ADDRESSES [PORTS]
//   RATE       packets a second; 0: as fast as it goes
//   ADDRESSES  sources, 10.0.0.0 and up, one after the other, each with PORTS source ports (1)
// Prints "sent N in SECONDS cpu SECONDS": what the interface took.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kFrame = 14 + 20 + 20;
using Frame = std::array<std::uint8_t, kFrame>;

void put16(Frame& frame, std::size_t at, std::uint32_t value) {
  frame[at] = static_cast<std::uint8_t>(value >> 8U);
  frame[at + 1] = static_cast<std::uint8_t>(value);
}

void put32(Frame& frame, std::size_t at, std::uint32_t value) {
  put16(frame, at, value >> 16U);
  put16(frame, at + 2, value & 0xffffU);
}

// The sum of RFC 1071 over 16-bit words, folded.
std::uint32_t sum(const Frame& frame, std::size_t from, std::size_t to, std::uint32_t start) {
  for (std::size_t at = from; at < to; at += 2) start += std::uint32_t{frame[at]} << 8U | frame[at + 1];
  while (start > 0xffff) start = (start & 0xffffU) + (start >> 16U);
  return start;
}

Frame base_frame(const char* mac, std::uint32_t destination) {
  Frame frame{};
  std::array<unsigned, 6> octets{};
  if (std::sscanf(mac, "%x:%x:%x:%x:%x:%x", &octets[0], &octets[1], &octets[2], &octets[3], &octets[4],
                  &octets[5]) != 6)
    std::exit(2);
  for (std::size_t i = 0; i < 6; ++i) frame[i] = static_cast<std::uint8_t>(octets[i]);
  frame[6] = 2;
  put16(frame, 12, ETH_P_IP);
  frame[14] = 0x45;
  put16(frame, 16, 40);
  frame[22] = 64;
  frame[23] = 6;
  put32(frame, 30, destination);
  put16(frame, 36, 443);
  frame[46] = 0x50;
  frame[47] = 0x02;
  put16(frame, 48, 0xffff);
  return frame;
}

void fill(Frame& frame, std::uint32_t source, std::uint16_t port) {
  put32(frame, 26, source);
  put16(frame, 34, port);
  put16(frame, 24, 0);
  put16(frame, 24, ~sum(frame, 14, 34, 0) & 0xffffU);
  put16(frame, 50, 0);
  put16(frame, 50, ~sum(frame, 26, 54, 6 + 20) & 0xffffU);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr,
                 "usage: refused_flood INTERFACE TO_MAC DESTINATION RATE SECONDS ADDRESSES [PORTS]\n");
    return 2;
  }
  const auto rate = static_cast<double>(std::atol(argv[4]));
  const double seconds = std::atof(argv[5]);
  const auto addresses = static_cast<std::uint32_t>(std::atol(argv[6]));
  const auto ports = static_cast<std::uint32_t>(argc > 7 ? std::atol(argv[7]) : 1);
  const int fd = socket(AF_PACKET, SOCK_RAW, 0);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(if_nametoindex(argv[1]));
  const int on = 1;
  if (fd < 0 || to.sll_ifindex == 0 || bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    std::perror("refused_flood");
    return 3;
  }
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);

  std::array<Frame, kBatch> frames{};
  frames.fill(base_frame(argv[2], ntohl(inet_addr(argv[3]))));
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> headers{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    parts[i] = {frames[i].data(), kFrame};
    headers[i].msg_hdr.msg_iov = &parts[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  const auto start = Clock::now();
  const auto since = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  std::uint64_t sent = 0;
  std::uint64_t next = 0;
  while (since() < seconds) {
    if (rate > 0 && static_cast<double>(sent) > rate * since()) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      continue;
    }
    for (std::size_t i = 0; i < kBatch; ++i, ++next) {
      fill(frames[i], 0x0a000000U + static_cast<std::uint32_t>(next % addresses),
           static_cast<std::uint16_t>(1024 + next / addresses % ports));
    }
    const int count = sendmmsg(fd, headers.data(), kBatch, 0);
    if (count < 0) {
      next -= kBatch;
      continue;
    }
    sent += static_cast<std::uint64_t>(count);
    next -= kBatch - static_cast<std::uint64_t>(count);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  std::printf("sent %lu in %.3f cpu %.3f\n", sent, since(),
              in_seconds(usage.ru_utime) + in_seconds(usage.ru_stime));
  return 0;
}
