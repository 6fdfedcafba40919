// StreamConnection: messages over TCP, with TLS or without. What it calls delivered, the peer's kernel has
// acknowledged: the protocols above have no acknowledgement of their own.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sink/endpoint.h"
#include "sink/sink.h"
#include "sink/tcp_socket.h"
#include "sink/tls_session.h"

namespace natsession {

struct StreamTarget {
  Endpoint endpoint;
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
