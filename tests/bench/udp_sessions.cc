// udp_sessions: real UDP packets, one a session, from as many source ports and addresses as it takes.
//
// Usage: udp_sessions FIRST_SOURCE DESTINATION COUNT RATE
//   FIRST_SOURCE: the first of the source addresses (10.99.1.2); 50,000 ports of each are used. The packets
//   leave by a raw socket, so the addresses need not be configured. Each source has a destination port of its
//   own, so that one address of a NAT box has ports for all of them. RATE: sessions a second; 0: as fast as
//   it goes.
// Prints how many packets were sent in which time.
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr std::uint32_t kPortsPerHost = 50'000;
constexpr std::uint32_t kFirstDestinationPort = 5353;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kPayload = 32;

struct Packet {
  iphdr ip;
  udphdr udp;
  std::array<char, kPayload> payload;
};

void fill(Packet& packet, std::uint32_t first_source, in_addr destination, std::uint32_t number) {
  const std::uint32_t host = number / kPortsPerHost;
  packet = {};
  packet.ip.version = 4;
  packet.ip.ihl = 5;
  packet.ip.ttl = 64;
  packet.ip.protocol = IPPROTO_UDP;
  packet.ip.saddr = htonl(first_source + host);
  packet.ip.daddr = destination.s_addr;
  packet.ip.tot_len = htons(sizeof(Packet));
  packet.udp.source = htons(static_cast<std::uint16_t>(1024 + number % kPortsPerHost));
  packet.udp.dest = htons(static_cast<std::uint16_t>(kFirstDestinationPort + host));
  packet.udp.len = htons(sizeof(Packet) - sizeof(iphdr));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: udp_sessions FIRST_SOURCE DESTINATION COUNT RATE\n");
    return 2;
  }
  in_addr source{};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  if (inet_pton(AF_INET, argv[1], &source) != 1 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) return 2;
  const auto count = static_cast<std::uint32_t>(std::atoi(argv[3]));
  const double rate = std::atof(argv[4]);
  const int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) {
    std::perror("udp_sessions: socket");
    return 3;
  }

  std::vector<Packet> packets(kBatch);
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> messages{};
  const auto start = std::chrono::steady_clock::now();
  for (std::uint32_t sent = 0; sent < count;) {
    const std::size_t batch = std::min<std::size_t>(kBatch, count - sent);
    for (std::size_t i = 0; i < batch; ++i) {
      fill(packets[i], ntohl(source.s_addr), to.sin_addr, sent + static_cast<std::uint32_t>(i));
      vectors[i] = {&packets[i], sizeof(Packet)};
      messages[i] = {};
      messages[i].msg_hdr.msg_name = &to;
      messages[i].msg_hdr.msg_namelen = sizeof to;
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int done = sendmmsg(fd, messages.data(), static_cast<unsigned>(batch), 0);
    if (done < 0) {
      if (errno == ENOBUFS || errno == EINTR) continue;
      std::perror("udp_sessions: sendmmsg");
      return 1;
    }
    sent += static_cast<std::uint32_t>(done);
    if (rate > 0) std::this_thread::sleep_until(start + std::chrono::duration<double>(sent / rate));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("sent %u in %.2f s: %.0f a second\n", count, seconds, count / seconds);
  return 0;
}
