// flood: makes source-NATed conntrack entries in the current network namespace, as fast as the kernel can.
//
// Usage: flood insert COUNT [TIMEOUT_SECONDS]   COUNT UDP sessions, each with addresses and ports of its own
//        flood steady RATE SECONDS              RATE sessions a second, each deleted after two seconds
//        flood again COUNT                      one session, made and deleted so many times
//        flood flush                            deletes the whole table
//        flood pulse SECONDS                    for so long keeps a few thousand sessions that end soon
// insert prints how many were made a second, flush how long it took. nf_conntrack_max must leave room for
// COUNT. How often the kernel looks for flows that have timed out depends on the timeouts of all flows of the
// machine: once a minute when there are few. With a pulse, in a namespace that nobody watches, it is every
// second or two.
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kBatchBytes = 60'000;
constexpr std::uint32_t kPortsPerHost = 50'000;
constexpr std::chrono::milliseconds kSteadyStep{20};
constexpr std::uint32_t kSteadyLifeSeconds = 2;
constexpr std::uint32_t kPulseSessions = 4'000;
constexpr std::uint32_t kPulseTimeout = 2;

using Clock = std::chrono::steady_clock;

nlmsghdr* begin_message(char* at, std::uint8_t type, std::uint16_t flags) {
  nlmsghdr* const header = mnl_nlmsg_put_header(at);
  header->nlmsg_type = static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8) | type);
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  auto* const family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  family->nfgen_family = AF_INET;
  family->version = NFNETLINK_V0;
  return header;
}

void put_tuple(nlmsghdr* header, std::uint16_t type, std::uint32_t src, std::uint32_t dst,
               std::uint16_t sport, std::uint16_t dport) {
  nlattr* const tuple = mnl_attr_nest_start(header, type);
  nlattr* const ip = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  mnl_attr_put_u32(header, CTA_IP_V4_SRC, htonl(src));
  mnl_attr_put_u32(header, CTA_IP_V4_DST, htonl(dst));
  mnl_attr_nest_end(header, ip);
  nlattr* const proto = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(header, CTA_PROTO_NUM, IPPROTO_UDP);
  mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, htons(sport));
  mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(dport));
  mnl_attr_nest_end(header, proto);
  mnl_attr_nest_end(header, tuple);
}

constexpr std::uint32_t kPub = 0xc6336407;  // 198.51.100.7

std::uint32_t pri_of(std::uint32_t number) {
  return 0x0a000002 + number / kPortsPerHost;
}  // 10.0.0.2 and on
std::uint16_t port_of(std::uint32_t number) {
  return static_cast<std::uint16_t>(1024 + number % kPortsPerHost);
}

std::size_t put_end(char* at, std::uint32_t number) {
  nlmsghdr* const header = begin_message(at, IPCTNL_MSG_CT_DELETE, 0);
  put_tuple(header, CTA_TUPLE_ORIG, pri_of(number), kPub, port_of(number), 53);
  return header->nlmsg_len;
}

std::size_t put_session(char* at, std::uint32_t number, std::uint32_t timeout) {
  const std::uint16_t port = port_of(number);
  const std::uint32_t pri = pri_of(number);
  const std::uint32_t pub = kPub;
  const std::uint32_t nat = 0xcb007101 + number / kPortsPerHost;  // 203.0.113.1 and on
  nlmsghdr* const header = begin_message(at, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
  put_tuple(header, CTA_TUPLE_ORIG, pri, pub, port, 53);
  put_tuple(header, CTA_TUPLE_REPLY, pub, pri, 53, port);
  mnl_attr_put_u32(header, CTA_TIMEOUT, htonl(timeout));
  nlattr* const source = mnl_attr_nest_start(header, CTA_NAT_SRC);
  mnl_attr_put_u32(header, CTA_NAT_V4_MINIP, htonl(nat));
  mnl_attr_put_u32(header, CTA_NAT_V4_MAXIP, htonl(nat));
  nlattr* const proto = mnl_attr_nest_start(header, CTA_NAT_PROTO);
  mnl_attr_put_u16(header, CTA_PROTONAT_PORT_MIN, htons(port));
  mnl_attr_put_u16(header, CTA_PROTONAT_PORT_MAX, htons(port));
  mnl_attr_nest_end(header, proto);
  mnl_attr_nest_end(header, source);
  return header->nlmsg_len;  // libmnl pads every attribute: the next message begins here
}

// Answers of the kernel that are errors; counts them and keeps the last.
struct Errors {
  std::uint64_t count = 0;
  int last = 0;
};

void read_errors(mnl_socket* socket, Errors& errors) {
  std::vector<char> buffer(kBatchBytes);
  for (;;) {
    const ssize_t length = recv(mnl_socket_get_fd(socket), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (length <= 0) return;
    int rest = static_cast<int>(length);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
         mnl_nlmsg_ok(header, rest);  // NOLINT
         header = mnl_nlmsg_next(header, &rest)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      const auto* const error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
      if (error->error == 0) continue;
      ++errors.count;
      errors.last = -error->error;
    }
  }
}

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Sends requests for sessions 0 to `count` and reads the refusals. False when sending failed.
bool send_sessions(mnl_socket* socket, std::uint32_t count, std::uint32_t timeout, Errors& errors) {
  std::vector<char> batch(kBatchBytes + 1024);
  for (std::uint32_t number = 0; number < count;) {
    std::size_t used = 0;
    while (number < count && used < kBatchBytes) used += put_session(batch.data() + used, number++, timeout);
    if (mnl_socket_sendto(socket, batch.data(), used) < 0) {
      std::perror("flood: send");
      return false;
    }
    read_errors(socket, errors);
  }
  return true;
}

int insert(mnl_socket* socket, std::uint32_t count, std::uint32_t timeout) {
  Errors errors;
  const auto start = Clock::now();
  if (!send_sessions(socket, count, timeout, errors)) return 1;
  const double seconds = since(start);
  const std::uint64_t made = count - errors.count;
  std::printf("inserted %lu in %.2f s: %.0f a second\n", made, seconds, static_cast<double>(made) / seconds);
  if (errors.count == 0) return 0;
  std::fprintf(stderr, "flood: %lu were refused, the last: %s\n", errors.count, std::strerror(errors.last));
  return 1;
}

// Sessions come and go evenly. What is alive at the end is deleted, too.
int steady(mnl_socket* socket, std::uint32_t rate, std::uint32_t seconds) {
  const std::uint32_t all = rate * seconds;
  const std::uint32_t alive = rate * kSteadyLifeSeconds;
  std::vector<char> batch(kBatchBytes + 1024);
  Errors errors;
  std::uint32_t begun = 0;
  std::uint32_t ended = 0;
  const auto start = Clock::now();
  while (ended < all) {
    const double passed = since(start);
    const auto begin_to = std::min(all, static_cast<std::uint32_t>(passed * rate));
    const std::uint32_t end_to = passed >= seconds ? all : begin_to - std::min(begin_to, alive);
    while (begun < begin_to || ended < std::min(end_to, begun)) {
      std::size_t used = 0;
      while (begun < begin_to && used < kBatchBytes) used += put_session(batch.data() + used, begun++, 600);
      while (ended < std::min(end_to, begun) && used < kBatchBytes)
        used += put_end(batch.data() + used, ended++);
      if (mnl_socket_sendto(socket, batch.data(), used) < 0) {
        std::perror("flood: send");
        return 1;
      }
      read_errors(socket, errors);
    }
    std::this_thread::sleep_for(kSteadyStep);
  }
  std::printf("steady %u sessions in %.2f s, %lu requests refused\n", all, since(start), errors.count);
  return errors.count == 0 ? 0 : 1;
}

int again(mnl_socket* socket, std::uint32_t count) {
  std::vector<char> batch(kBatchBytes + 1024);
  Errors errors;
  for (std::uint32_t made = 0; made < count;) {
    std::size_t used = 0;
    for (; made < count && used < kBatchBytes; ++made) {
      used += put_session(batch.data() + used, 0, 600);
      used += put_end(batch.data() + used, 0);
    }
    if (mnl_socket_sendto(socket, batch.data(), used) < 0) {
      std::perror("flood: send");
      return 1;
    }
    read_errors(socket, errors);
  }
  return errors.count == 0 ? 0 : 1;
}

int flush(mnl_socket* socket) {
  std::vector<char> buffer(4096);
  nlmsghdr* const header = begin_message(buffer.data(), IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
  const auto start = Clock::now();
  if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) {
    std::perror("flood: send");
    return 1;
  }
  std::printf("flushed in %.2f s\n", since(start));
  Errors errors;
  read_errors(socket, errors);
  if (errors.count == 0) return 0;
  std::fprintf(stderr, "flood: flush: %s\n", std::strerror(errors.last));
  return 1;
}

int pulse(mnl_socket* socket, int seconds) {
  const auto start = Clock::now();
  while (since(start) < seconds) {
    Errors still_there;
    if (!send_sessions(socket, kPulseSessions, kPulseTimeout, still_there)) return 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  const auto close = [](mnl_socket* opened) { mnl_socket_close(opened); };
  const std::unique_ptr<mnl_socket, decltype(close)> holder(mnl_socket_open(NETLINK_NETFILTER), close);
  mnl_socket* const socket = holder.get();
  if (socket == nullptr || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
    std::perror("flood");
    return 3;
  }
  if (command == "insert" && argc > 2) {
    const auto timeout = static_cast<std::uint32_t>(argc > 3 ? std::atoi(argv[3]) : 600);
    return insert(socket, static_cast<std::uint32_t>(std::atoi(argv[2])), timeout);
  }
  if (command == "steady" && argc > 3) {
    return steady(socket, static_cast<std::uint32_t>(std::atoi(argv[2])),
                  static_cast<std::uint32_t>(std::atoi(argv[3])));
  }
  if (command == "again" && argc > 2) return again(socket, static_cast<std::uint32_t>(std::atoi(argv[2])));
  if (command == "flush") return flush(socket);
  if (command == "pulse" && argc > 2) return pulse(socket, std::atoi(argv[2]));
  std::fprintf(
      stderr,
      "usage: flood insert COUNT [TIMEOUT_SECONDS] | flood steady RATE SECONDS | flood again COUNT | "
      "flood flush | flood pulse SECONDS\n");
  return 2;
}
