// StreamConnection: messages over TCP, with TLS or without. What it calls delivered, the peer's kernel has
// acknowledged: the protocols above have no acknowledgement of their own.
// TcpSocket: one TCP connection that never blocks: what is waited for, and how long, is the caller's to say.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sink/sink.h"
#include "sink/sink_url.h"
#include "sink/transport/tls_session.h"

namespace natsession {

class TcpSocket {
 public:
  // Connects to the first of the endpoint's addresses that answers, within `limit` for all of them.
  // Errors: kUnavailable, naming the endpoint and the cause at the last address.
  [[nodiscard]] static Result<TcpSocket> connect(const HostPort& endpoint, std::chrono::nanoseconds limit);

  // Hands bytes to the kernel, as many as it takes now. Sets `sent`. Returns errno, or 0.
  int send(std::string_view bytes, std::size_t& sent);

  // Appends what has arrived, at most some KiB, to `in`. Returns errno, or 0. Sets `closed` if the peer will
  // send no more.
  int receive(std::string& in, bool& closed);

  // Bytes that were sent and that the peer's kernel has not acknowledged. 0 if the connection has died.
  [[nodiscard]] std::size_t unacknowledged() const;

  // Until something has arrived, or there is room where `for_room`, or `limit` has passed.
  void wait(bool for_room, std::chrono::nanoseconds limit) const;

  // Closes at once: what is on its way is forgotten, and the peer told so.
  void abort();

 private:
  explicit TcpSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

struct StreamTarget {
  HostPort endpoint;
  std::optional<TlsContext> tls;      // none: plain TCP
  std::chrono::milliseconds timeout;  // to connect, and for a peer that acknowledges nothing

  [[nodiscard]] std::string to_string() const { return endpoint.to_string(); }
};

class StreamConnection {
 public:
  // Connects, and makes itself known by TLS. Sets `connection`, or returns what to answer.
  [[nodiscard]] static std::optional<Answer> open(const StreamTarget& target,
                                                  std::unique_ptr<StreamConnection>& connection);
  StreamConnection(const StreamConnection&) = delete;
  StreamConnection& operator=(const StreamConnection&) = delete;
  ~StreamConnection();  // waits for nothing

  // Whether the peer, as far as is known here, is still there.
  [[nodiscard]] bool is_open();
  // The peer has closed in good order. It had read what it acknowledged then: else its kernel would have
  // reset.
  [[nodiscard]] bool ended_well() const { return ended_ && !broken_; }

  // Sends `text` and waits until the peer's kernel has acknowledged all of it. After any answer but
  // kDelivered the connection is of no more use, and what the peer has of `text` is not known; `taken` means
  // nothing.
  [[nodiscard]] Answer send(std::string_view text);

 private:
  StreamConnection(const StreamTarget& target, TcpSocket socket);

  std::optional<Answer> shake_hands();
  std::optional<Answer> await_verdict();
  std::optional<Answer> encrypt(std::string_view text);
  std::optional<Answer> push();
  std::optional<Answer> look();
  [[nodiscard]] Answer failure(const std::string& cause) const;
  [[nodiscard]] Answer tls_failure();

  const StreamTarget& target_;
  TcpSocket socket_;
  std::unique_ptr<TlsSession> tls_;
  std::string out_;       // as it goes onto the wire
  std::size_t sent_ = 0;  // of out_
  std::string in_;
  bool closed_ = false;  // the peer has said goodbye, or its stream has ended
  bool ended_ = false;   // its stream has ended
  bool broken_ = false;  // must not end in good order: a message may be half sent
};

}  // namespace natsession
