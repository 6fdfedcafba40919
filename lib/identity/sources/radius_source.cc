#include "identity/sources/radius_source.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "identity/sources/radius_packet.h"
#include "identity/sources/words.h"

namespace natsession {
namespace {

constexpr int kQueueBytes = 4 << 20;
constexpr int kMostPackets = 2000;  // in a turn

IpAddress address_of(const sockaddr_storage& from) {
  if (from.ss_family == AF_INET) {
    sockaddr_in address{};
    std::memcpy(&address, &from, sizeof address);
    return IpAddress::from_v4(address.sin_addr.s_addr);
  }
  sockaddr_in6 address{};
  std::memcpy(&address, &from, sizeof address);
  return IpAddress::from_v6(std::span<const std::uint8_t, 16>(address.sin6_addr.s6_addr));
}

}  // namespace

RadiusSource::RadiusSource(std::string name, RadiusSettings settings)
    : name_(std::move(name)), settings_(std::move(settings)), buffer_(kMaxRadiusPacket + 1) {}

Result<void> RadiusSource::open() {
  if (!settings_.secret_file.empty()) {
    auto secrets = RadiusSecrets::of_file(settings_.secret_file);
    if (!secrets) return secrets.error();
    secrets_ = std::move(*secrets);
  }
  if (!settings_.secrets_file.empty()) {
    auto secrets = RadiusSecrets::of_list(settings_.secrets_file);
    if (!secrets) return secrets.error();
    secrets_.add(std::move(*secrets));
  }
  sockaddr_storage where{};
  socklen_t length = 0;
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, settings_.address.c_str(), &v4) == 1) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(settings_.port);
    address.sin_addr = v4;
    std::memcpy(&where, &address, length = sizeof address);
  } else if (settings_.address.empty() || ::inet_pton(AF_INET6, settings_.address.c_str(), &v6) == 1) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(settings_.port);
    address.sin6_addr = settings_.address.empty() ? in6addr_any : v6;
    std::memcpy(&where, &address, length = sizeof address);
  } else {
    return usage_error(name_ + ": '" + settings_.address + "' is not an address to listen on");
  }
  UniqueFd socket(::socket(where.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return system_error(name_ + ": make a socket", errno, ErrorKind::kUnavailable);
  const int on = 1;
  const int off = 0;
  if (where.ss_family == AF_INET6) {
    (void)::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    (void)::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  } else {
    (void)::setsockopt(socket.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  }
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kQueueBytes, sizeof kQueueBytes) != 0)
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kQueueBytes, sizeof kQueueBytes);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&where), length) != 0)
    return system_error(name_ + ": listen on UDP port " + std::to_string(settings_.port), errno,
                        ErrorKind::kUnavailable);
  socket_ = std::move(socket);
  return {};
}

// False: it was heard before.
bool RadiusSource::remember(std::uint64_t hash) {
  if (!heard_.insert(hash).second) return false;
  heard_order_.push_back(hash);
  if (heard_order_.size() > kRemembered) {
    heard_.erase(heard_order_.front());
    heard_order_.pop_front();
  }
  return true;
}

void RadiusSource::take(std::span<const std::uint8_t> packet, const Peer& peer, UnixMs now,
                        IdentityOutput& output) {
  const IpAddress client = address_of(peer.address);
  const std::string client_text = client.to_string();
  const auto refuse = [&](const std::string& why) {
    ++counts_.refused;
    output.refused("a RADIUS packet from " + client_text + " " + why);
  };
  const std::string* const secret = secrets_.find(client);
  if (secret == nullptr) return refuse("is of no client: there is no secret for that address");
  report_.clear();
  report_.received = now;
  if (auto read = read_accounting_request(packet, *secret, report_); !read)
    return refuse(read.error().message);
  if (report_.is_stale()) return refuse("tells of more than a day ago, and does not say that it was delayed");

  // What somebody has heard and sends again comes from where he likes: the authenticator alone says what was
  // said.
  std::array<std::uint64_t, 3> words{};
  std::memcpy(words.data(), packet.data() + 4, 16);
  words[2] = packet[1];
  if (remember(hash_(words))) {
    ++counts_.told;
    tell_accounting(report_, client_text, output);
  } else {
    ++counts_.again;
  }
  waiting_.push_back({peer, accounting_response(packet, *secret)});
}

RadiusSource::Received RadiusSource::receive(UnixMs now, IdentityOutput& output) {
  Peer peer;
  alignas(cmsghdr) std::array<std::uint8_t, 256> control{};
  iovec part{buffer_.data(), buffer_.size()};
  msghdr header{};
  header.msg_name = &peer.address;
  header.msg_namelen = sizeof peer.address;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t length = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT);
  if (length < 0 && errno == EINTR) return Received::kOne;
  // Answers that could not reach a client come back as errors here.
  if (length < 0) return errno == EAGAIN ? Received::kNothing : Received::kFailed;
  peer.length = header.msg_namelen;
  for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
    const auto* const begin = reinterpret_cast<const std::uint8_t*>(one);
    if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SO_RXQ_OVFL) {
      std::uint32_t dropped = 0;
      std::memcpy(&dropped, CMSG_DATA(one), sizeof dropped);
      if (dropped != dropped_)
        output.lost(std::to_string(dropped - dropped_) +
                    " RADIUS packets did not fit the socket; their clients had no answer");
      dropped_ = dropped;
    }
    if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
      // From the address that it came to, by whatever interface leads to the client.
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(one), sizeof info);
      info.ipi_ifindex = 0;
      info.ipi_spec_dst = info.ipi_addr;
      std::memcpy(CMSG_DATA(one), &info, sizeof info);
      peer.control.assign(begin, begin + CMSG_SPACE(sizeof info));
    }
    if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_PKTINFO)
      peer.control.assign(begin, begin + CMSG_SPACE(sizeof(in6_pktinfo)));
  }
  take({buffer_.data(), static_cast<std::size_t>(length)}, peer, now, output);
  return Received::kOne;
}

std::chrono::milliseconds RadiusSource::turn(UnixMs now, IdentityOutput& output) {
  constexpr std::chrono::milliseconds kIdle{1000};
  told_waiting_ = waiting_.size();
  for (int i = 0; i < kMostPackets; ++i) {
    if (waiting_.size() >= kMaxWaiting) return kIdle;  // until committed()
    const Received received = receive(now, output);
    if (received == Received::kOne) continue;
    // A client that was not answered keeps what it has to say: nothing is missing that it has an answer for.
    if (received == Received::kNothing) output.followed(now);
    told_waiting_ = waiting_.size();
    return received == Received::kNothing ? kIdle : std::chrono::milliseconds(0);
  }
  told_waiting_ = waiting_.size();
  return std::chrono::milliseconds(0);
}

void RadiusSource::committed() {
  for (; told_waiting_ > 0; --told_waiting_) {
    const Answer& answer = waiting_.front();
    iovec part{const_cast<std::uint8_t*>(answer.bytes.data()), answer.bytes.size()};
    msghdr header{};
    header.msg_name = const_cast<sockaddr_storage*>(&answer.to.address);
    header.msg_namelen = answer.to.length;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control =
        answer.to.control.empty() ? nullptr : const_cast<std::uint8_t*>(answer.to.control.data());
    header.msg_controllen = answer.to.control.size();
    const bool sent = ::sendmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
    ++(sent ? counts_.answered : counts_.unanswered);
    waiting_.pop_front();
  }
}

}  // namespace natsession
