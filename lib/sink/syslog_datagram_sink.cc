#include "sink/syslog_datagram_sink.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sink/deadline.h"

namespace natsession {
namespace {

constexpr std::size_t kMessagesPerCall = 64;
constexpr int kSendBufferBytes = 4 << 20;

// Datagrams are handed on at once; more than this is encoded in turns, to stay in the cache.
constexpr std::size_t kTurnBytes = 128 << 10;

constexpr std::uint16_t kUdpPort = 514;  // RFC 5426

Result<SinkOpener> parse_local(const SinkUrl& url) {
  const std::string path = url.target.empty() ? "/dev/log" : url.target;
  if (!path.starts_with('/') || path.starts_with("//")) {
    return url.wrong("'" + path +
                     "' is not the path of a socket: syslog:, which is /dev/log, or syslog:/PATH; another "
                     "machine is syslog+udp://, syslog+tcp:// or syslog+tls://HOST");
  }
  const auto settings = SyslogSettings::parse(url, SyslogFraming::kNone);
  if (!settings) return settings.error();
  return SinkOpener{
      .reach = [path]() -> Result<Reached> {
        if (const int error_number = DatagramSocket().connect_local(path); error_number != 0)
          return system_error("connect to " + path, error_number, ErrorKind::kUnavailable);
        return Reached{"the socket takes connections"};
      },
      .open = [name = url.name(), path, settings = *settings](
                  const EncoderOptions& options, const Clock& clock) -> Result<std::unique_ptr<Sink>> {
        return std::unique_ptr<Sink>(
            std::make_unique<SyslogDatagramSink>(name, path, settings.with(options), clock));
      }};
}

Result<SinkOpener> parse_udp(const SinkUrl& url) {
  const auto endpoint = endpoint_of(url, kUdpPort);
  if (!endpoint) return endpoint.error();
  const auto settings = SyslogSettings::parse(url, SyslogFraming::kNone);
  if (!settings) return settings.error();
  return SinkOpener{
      .reach = [endpoint = *endpoint]() -> Result<Reached> {
        const auto addresses = resolve(endpoint, SOCK_DGRAM);
        if (!addresses) return addresses.error();
        if (const int error_number = DatagramSocket().connect_udp(addresses->front()); error_number != 0)
          return system_error("connect to " + endpoint.to_string(), error_number, ErrorKind::kUnavailable);
        return Reached{"there is a route; UDP does not tell whether anybody listens", /*known=*/false};
      },
      .open = [name = url.name(), endpoint = *endpoint, settings = *settings](
                  const EncoderOptions& options, const Clock& clock) -> Result<std::unique_ptr<Sink>> {
        return std::unique_ptr<Sink>(
            std::make_unique<SyslogDatagramSink>(name, endpoint, settings.with(options), clock));
      }};
}

}  // namespace

int DatagramSocket::open(int family) {
  fd_.reset(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) return errno;
  family_ = family;
  // What is granted is enough in any case: a small buffer only makes for more waiting.
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof(kSendBufferBytes));
  return 0;
}

int DatagramSocket::connect_local(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (const int error_number = open(AF_UNIX); error_number != 0) return error_number;
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return 0;
  const int error_number = errno;
  fd_.reset();
  return error_number;
}

int DatagramSocket::connect_udp(const SocketAddress& address) {
  if (const int error_number = open(address.storage.ss_family); error_number != 0) return error_number;
  if (::connect(fd_.get(), address.get(), address.length) == 0) return 0;
  const int error_number = errno;
  fd_.reset();
  return error_number;
}

int DatagramSocket::send(std::span<const std::string_view> messages, std::chrono::nanoseconds limit,
                         std::size_t& sent) {
  sent = 0;
  Deadline deadline(limit);
  while (sent < messages.size()) {
    std::array<iovec, kMessagesPerCall> parts{};
    std::array<mmsghdr, kMessagesPerCall> headers{};
    const std::size_t count = std::min(kMessagesPerCall, messages.size() - sent);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view message = messages[sent + i];
      parts[i] = {const_cast<char*>(message.data()), message.size()};  // iovec is older than const
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    const int done =
        ::sendmmsg(fd_.get(), headers.data(), static_cast<unsigned>(count), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done > 0) {
      sent += static_cast<std::size_t>(done);
      deadline.restart();
      continue;
    }
    // An error is told of the first message only, which is the one at `sent`.
    const int error_number = errno;
    if (error_number == EINTR) continue;
    if (error_number != EAGAIN && error_number != ENOBUFS) return error_number;
    if (deadline.passed()) return EAGAIN;
    // ENOBUFS tells of a full device queue, which no poll() waits for.
    constexpr std::chrono::milliseconds kQueueDrains{1};
    wait_for(fd_.get(), error_number == EAGAIN ? POLLOUT : short{0},
             error_number == EAGAIN ? deadline.left()
                                    : std::min<std::chrono::nanoseconds>(deadline.left(), kQueueDrains));
  }
  return 0;
}

int DatagramSocket::take_error() {
  int error_number = 0;
  socklen_t length = sizeof(error_number);
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error_number, &length) != 0) return errno;
  return error_number;
}

int DatagramSocket::wait_for_error(std::chrono::nanoseconds limit) {
  wait_for(fd_.get(), 0, limit);  // an error is always told
  return take_error();
}

void DatagramSocket::forbid_fragments() {
  constexpr int kForbid4 = IP_PMTUDISC_DO;
  constexpr int kForbid6 = IPV6_PMTUDISC_DO;
  if (family_ == AF_INET6) {
    setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &kForbid6, sizeof(kForbid6));
  } else {
    setsockopt(fd_.get(), IPPROTO_IP, IP_MTU_DISCOVER, &kForbid4, sizeof(kForbid4));
  }
}

std::size_t DatagramSocket::longest_datagram(std::size_t mtu) const {
  constexpr std::size_t kUdpHeader = 8;
  constexpr std::size_t kIp4Header = 20;
  constexpr std::size_t kIp6Header = 40;
  const bool v6 = family_ == AF_INET6;
  int of_path = 0;
  socklen_t length = sizeof(of_path);
  const bool known =
      getsockopt(fd_.get(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU : IP_MTU, &of_path, &length) == 0;
  if (known && of_path > 0) mtu = std::min(mtu, static_cast<std::size_t>(of_path));
  return mtu - std::min(mtu, kUdpHeader + (v6 ? kIp6Header : kIp4Header));
}

SinkKind syslog_kind() {
  return {.scheme = "syslog",
          .usage = "syslog:[PATH]",
          .help =
              "RFC 5424 messages, with every field as structured data, to the local socket PATH; default "
              "/dev/log",
          .options = explain(syslog_options()),
          .remote = true,
          .encoding = SinkEncoding::kMessage,
          .own_format = kNatFormat,
          .parse = parse_local};
}

SinkKind syslog_udp_kind() {
  return {.scheme = "syslog+udp",
          .usage = "syslog+udp://HOST[:514]",
          .help = "the same by UDP, which may lose messages without a word; options as syslog",
          .also = explain(syslog_options()),
          .remote = true,
          .encoding = SinkEncoding::kMessage,
          .own_format = kNatFormat,
          .parse = parse_udp};
}

SyslogDatagramSink::SyslogDatagramSink(std::string name, std::string path, const SyslogSettings& settings,
                                       const Clock& clock)
    : name_(std::move(name)),
      path_(std::move(path)),
      target_(path_),
      timeout_(settings.timeout),
      clock_(clock),
      batch_(settings) {}

SyslogDatagramSink::SyslogDatagramSink(std::string name, HostPort endpoint, const SyslogSettings& settings,
                                       const Clock& clock)
    : name_(std::move(name)),
      endpoint_(std::move(endpoint)),
      target_(endpoint_->to_string()),
      timeout_(settings.timeout),
      clock_(clock),
      batch_(settings) {}

Answer SyslogDatagramSink::deliver(std::span<const SessionRecord> records) {
  std::size_t taken = 0;
  while (taken < records.size()) {
    batch_.fill(records.subspan(taken), kTurnBytes);
    if (batch_.ends().empty()) return Answer::rejected(taken, batch_.refusal());
    if (!socket_.is_open()) {
      if (auto failed = connect()) {
        failed->taken = taken;
        return *failed;
      }
    }
    messages_.clear();
    for (std::size_t i = 0; i < batch_.ends().size(); ++i) messages_.push_back(batch_.message(i));
    std::size_t sent = 0;
    const int error_number = socket_.send(messages_, timeout_, sent);
    taken += sent;
    if (sent > 0) last_there_ = clock_.steady();
    if (error_number == EMSGSIZE) {
      return Answer::rejected(taken, target_ + ": the message has " + std::to_string(messages_[sent].size()) +
                                         " bytes, which is more than this socket sends in one");
    }
    if (error_number != 0) return failure(taken, error_number);
  }
  // Over loopback, and often over a near network, the answer that nobody listens is here by now.
  if (endpoint_ && socket_.is_open()) {
    if (const int error_number = socket_.take_error(); error_number != 0) return failure(taken, error_number);
  }
  return Answer::delivered(taken);
}

Result<void> SyslogDatagramSink::reopen() {
  socket_.close();
  return {};
}

std::optional<Answer> SyslogDatagramSink::connect() {
  return endpoint_ ? connect_udp() : connect_local();
}

std::optional<Answer> SyslogDatagramSink::connect_local() {
  const int error_number = socket_.connect_local(path_);
  if (error_number == 0) return std::nullopt;
  return local_failure(error_number);
}

std::optional<Answer> SyslogDatagramSink::connect_udp() {
  const auto addresses = resolve(*endpoint_, SOCK_DGRAM);
  if (!addresses) return Answer::retry_later(0, addresses.error().message);
  int error_number = 0;
  for (const SocketAddress& address : *addresses) {
    error_number = socket_.connect_udp(address);
    if (error_number == 0) return std::nullopt;
  }
  return Answer::retry_later(0, system_error("connect to " + target_, error_number).message);
}

Answer SyslogDatagramSink::local_failure(int error_number) const {
  const std::string why = system_error("connect to " + path_, error_number).message;
  switch (error_number) {
    case EACCES:
    case EPERM:
      return Answer::target_failed(0, TargetCode::kUnauthorized, why);
    case ENOENT:
      if (last_there_ && clock_.steady() - *last_there_ < timeout_) break;
      return Answer::target_failed(0, TargetCode::kProjectNotExist, why + ": is a syslog daemon running?");
    case ENOTDIR:
    case ENOTSOCK:
    case ELOOP:
    case ENAMETOOLONG:
      return Answer::target_failed(0, TargetCode::kProjectNotExist, why);
    case EPROTOTYPE:
      return Answer::target_failed(0, TargetCode::kProjectNotExist, why + ": it takes no datagrams");
    default:
      break;
  }
  return Answer::retry_later(0, why);
}

// Of what went out by UDP nothing is certain once the port is known to be closed, so the whole batch comes
// again. A local socket's error is of the one message that was not taken.
Answer SyslogDatagramSink::failure(std::size_t taken, int error_number) {
  const bool full = error_number == EAGAIN;
  if (!full) socket_.close();
  if (endpoint_ && !full) taken = 0;
  if (full) return Answer::retry_later(taken, "send to " + target_ + ": its queue is full");
  if (!endpoint_) {
    Answer answer = local_failure(error_number);
    answer.taken = taken;
    return answer;
  }
  return Answer::retry_later(taken, system_error("send to " + target_, error_number).message);
}

}  // namespace natsession
