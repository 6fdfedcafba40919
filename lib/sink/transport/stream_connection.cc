#include "sink/transport/stream_connection.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sink/transport/deadline.h"

namespace natsession {
namespace {

constexpr std::size_t kReceiveBytes = 16 << 10;

// Returns errno, or 0 and `fd`.
int connect_to(const SocketAddress& address, const Deadline& deadline, UniqueFd& fd) {
  fd.reset(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  constexpr int kOn = 1;
  // Acknowledgements are waited for, so the last part of a batch must not wait for them too.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof(kOn));
  // So that a peer that vanished is noticed, and a firewall between does not forget the connection.
  setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof(kOn));
  if (::connect(fd.get(), address.get(), address.length) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  while (wait_for(fd.get(), POLLOUT, deadline.left()) == 0) {
    if (deadline.passed()) return ETIMEDOUT;
  }
  int error_number = 0;
  socklen_t length = sizeof(error_number);
  if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error_number, &length) != 0) return errno;
  return error_number;
}

constexpr std::chrono::milliseconds kVerdictLimit{500};

}  // namespace

Result<TcpSocket> TcpSocket::connect(const HostPort& endpoint, std::chrono::nanoseconds limit) {
  const auto addresses = resolve(endpoint, SOCK_STREAM);
  if (!addresses) return addresses.error();
  int error_number = 0;
  // Each address has its share of the time, so that one that does not answer hides no other.
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    UniqueFd fd;
    const Deadline deadline(limit / static_cast<std::int64_t>(addresses->size()));
    error_number = connect_to((*addresses)[i], deadline, fd);
    if (error_number == 0) return TcpSocket(std::move(fd));
  }
  return Error{ErrorKind::kUnavailable,
               system_error("connect to " + endpoint.to_string(), error_number).message};
}

int TcpSocket::send(std::string_view bytes, std::size_t& sent) {
  sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count =
        ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    return errno == EAGAIN ? 0 : errno;
  }
  return 0;
}

int TcpSocket::receive(std::string& in, bool& closed) {
  std::array<char, kReceiveBytes> buffer;
  closed = false;
  while (true) {
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) in.append(buffer.data(), static_cast<std::size_t>(count));
    if (count == 0) closed = true;
    if (count >= 0) return 0;
    if (errno != EINTR) return errno == EAGAIN ? 0 : errno;
  }
}

std::size_t TcpSocket::unacknowledged() const {
  int bytes = 0;
  if (::ioctl(fd_.get(), SIOCOUTQ, &bytes) != 0 || bytes < 0) return 0;
  return static_cast<std::size_t>(bytes);
}

void TcpSocket::wait(bool for_room, std::chrono::nanoseconds limit) const {
  wait_for(fd_.get(), static_cast<short>(POLLIN | POLLRDHUP | (for_room ? POLLOUT : 0)), limit);
}

void TcpSocket::abort() {
  constexpr linger kReset{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &kReset, sizeof(kReset));
  fd_.reset();
}

std::optional<Answer> StreamConnection::open(const StreamTarget& target,
                                             std::unique_ptr<StreamConnection>& connection) {
  auto socket = TcpSocket::connect(target.endpoint, target.timeout);
  if (!socket) return Answer::retry_later(0, socket.error().message);
  std::unique_ptr<StreamConnection> opened(new StreamConnection(target, std::move(*socket)));
  if (target.tls) {
    if (auto failed = opened->shake_hands()) return failed;
  }
  connection = std::move(opened);
  return std::nullopt;
}

StreamConnection::StreamConnection(const StreamTarget& target, TcpSocket socket)
    : target_(target), socket_(std::move(socket)) {}

StreamConnection::~StreamConnection() {
  // What is half sent must not be completed behind our back: the message will be sent again as a whole.
  if (broken_) socket_.abort();
  if (broken_ || tls_ == nullptr) return;
  tls_->close();
  std::size_t sent = 0;
  socket_.send(tls_->take(), sent);
}

bool StreamConnection::is_open() {
  return !broken_ && !look() && !closed_;
}

Answer StreamConnection::send(std::string_view text) {
  if (auto failed = encrypt(text)) return *failed;
  const Deadline overall(target_.timeout * kPatienceForAll);
  Deadline progress(target_.timeout);
  Pauses pauses;
  std::size_t acknowledged = 0;
  while (true) {
    if (auto failed = push()) return *failed;
    const std::size_t on_the_way = socket_.unacknowledged();
    // In this order: while the peer is there, the count is true.
    if (auto failed = look()) return *failed;
    const std::size_t now = sent_ - std::min(sent_, on_the_way);
    if (now > acknowledged) {
      acknowledged = now;
      progress.restart();
      pauses.restart();
    }
    if (acknowledged == out_.size()) return Answer::delivered(0);
    if (closed_ || progress.passed() || overall.passed()) {
      broken_ = true;
      return failure(closed_ ? "it closed the connection" : "it takes nothing more");
    }
    socket_.wait(sent_ < out_.size(), std::min(pauses.next(), progress.left()));
  }
}

// Fills out_.
std::optional<Answer> StreamConnection::encrypt(std::string_view text) {
  sent_ = 0;
  if (tls_ == nullptr) {
    out_ = text;
    return std::nullopt;
  }
  if (!tls_->write(text)) return tls_failure();
  out_ = tls_->take();
  return std::nullopt;
}

// Hands on what the kernel takes.
std::optional<Answer> StreamConnection::push() {
  std::size_t sent = 0;
  const int error_number = socket_.send(std::string_view(out_).substr(sent_), sent);
  sent_ += sent;
  if (error_number == 0) return std::nullopt;
  broken_ = true;
  if (auto told = look(); told && told->kind == Answer::Kind::kTargetFailed)
    return told;  // the better reason
  return failure(system_error("send", error_number).message);
}

// What the peer has said. Syslog has no answers, so all that counts is whether it has gone: closed_ and
// ended_.
std::optional<Answer> StreamConnection::look() {
  if (ended_) return std::nullopt;
  in_.clear();
  const int error_number = socket_.receive(in_, ended_);
  if (ended_) closed_ = true;
  if (tls_ != nullptr && !in_.empty()) {
    tls_->put(in_);
    const TlsSession::State state = tls_->read();
    if (state == TlsSession::State::kFailed) return tls_failure();
    if (state == TlsSession::State::kClosed) closed_ = true;
  }
  if (error_number == 0) return std::nullopt;
  broken_ = true;
  return failure(system_error("receive", error_number).message);
}

std::optional<Answer> StreamConnection::shake_hands() {
  tls_ = std::make_unique<TlsSession>(*target_.tls, target_.endpoint.host);
  const Deadline deadline(target_.timeout);
  while (true) {
    const TlsSession::State state = tls_->handshake();
    out_ += tls_->take();  // also an alert, which tells the peer why
    std::size_t sent = 0;
    const int send_error = socket_.send(std::string_view(out_).substr(sent_), sent);
    sent_ += sent;
    if (state == TlsSession::State::kFailed) {
      const Answer answer = tls_failure();
      broken_ = false;  // no message was begun, and the alert should arrive
      return answer;
    }
    if (state == TlsSession::State::kReady && sent_ == out_.size()) break;
    in_.clear();
    const int receive_error = socket_.receive(in_, ended_);
    tls_->put(in_);
    if (!in_.empty()) continue;
    if (send_error != 0) return failure(system_error("TLS handshake: send", send_error).message);
    if (receive_error != 0) return failure(system_error("TLS handshake: receive", receive_error).message);
    if (ended_) return failure("it closed the connection during the TLS handshake");
    if (deadline.passed()) return failure("it does not answer the TLS handshake");
    socket_.wait(sent_ < out_.size(), deadline.left());
  }
  return tls_->verdict_to_come() ? await_verdict() : std::nullopt;
}

// With TLS 1.3 the handshake is over for the client before the peer has judged the client's certificate. Most
// say something then: session tickets, or an alert. What is sent before could be acknowledged and yet never
// read.
std::optional<Answer> StreamConnection::await_verdict() {
  const Deadline deadline(std::min<std::chrono::nanoseconds>(target_.timeout, kVerdictLimit));
  do {
    if (auto failed = look()) return failed;
    if (closed_) return failure("it closed the connection after the TLS handshake");
    if (!in_.empty()) return std::nullopt;
    socket_.wait(/*for_room=*/false, deadline.left());
  } while (!deadline.passed());
  return std::nullopt;
}

Answer StreamConnection::failure(const std::string& cause) const {
  return Answer::retry_later(0, target_.to_string() + ": " + cause);
}

Answer StreamConnection::tls_failure() {
  broken_ = true;
  const TlsSession::Problem& problem = tls_->problem();
  if (!problem.refused) return failure(problem.text);
  return Answer::target_failed(0, TargetCode::kUnauthorized, target_.to_string() + ": " + problem.text);
}

}  // namespace natsession
