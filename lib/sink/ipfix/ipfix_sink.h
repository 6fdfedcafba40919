// IpfixDatagramSink, IpfixStreamSink: records as IPFIX (ipfix_message.h) over UDP, TCP or TLS, RFC 7011, 10.
//
// UDP promises nothing: what the network or a collector's full buffer drops, nobody here learns of; the
// collector sees it in the sequence numbers. Where its host says that nobody listens, the batch is sent
// again, as a whole, from another port: another transport session, which begins with templates and at
// sequence 0. So does what is read again at SIGHUP. Templates go out every `template_refresh`, so a collector
// that was restarted reads on after that time at most. No datagram is longer than the path's MTU, or `mtu`,
// and none is fragmented.
//
//   what happens                                              answer
//   the port is unreachable; no route; the name is unknown    RetryLater
//   no room for `timeout`                                     RetryLater
//   the path has become narrower meanwhile                    the batch is sent again, in shorter messages
//
// Over TCP and TLS a transport session is a connection: ResendingStream. What goes out again on another one
// has its sequence numbers there, behind all templates that it needs.
// Threads: as sink.h says.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "sink/ipfix/ipfix_message.h"
#include "sink/sink_kind.h"
#include "sink/transport/datagram_socket.h"
#include "sink/transport/resending_stream.h"

namespace natsession {

[[nodiscard]] SinkKind ipfix_kind();
[[nodiscard]] SinkKind ipfix_tcp_kind();
[[nodiscard]] SinkKind ipfix_tls_kind();

struct IpfixSinkSettings {
  IpfixSettings records;
  std::chrono::milliseconds timeout{10'000};           // to connect, and for a peer that takes nothing
  std::chrono::milliseconds template_refresh{60'000};  // UDP
  std::size_t rate = 300'000;                          // UDP: records a second, at most
  std::size_t mtu = 1500;  // UDP: of the path, at most; with the headers below UDP
};

class IpfixDatagramSink final : public Sink {
 public:
  // `clock` outlives the sink.
  IpfixDatagramSink(std::string name, HostPort endpoint, const IpfixSinkSettings& settings,
                    const Clock& clock);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override;  // asks for the address again
  Result<void> flush() override;   // templates that are due

 private:
  std::optional<Answer> connect();
  [[nodiscard]] std::size_t longest() const;
  int send_messages(std::size_t& sent);
  void keep_pace(std::size_t records);
  Answer failure(std::size_t taken, int error_number);

  const std::string name_;
  const HostPort endpoint_;
  const IpfixSinkSettings settings_;
  const Clock& clock_;
  IpfixBatch batch_;
  DatagramSocket socket_;
  std::size_t narrowest_ = IpfixBatch::kLongest;  // what this socket was seen to take
  std::vector<std::string_view> messages_;
  std::chrono::steady_clock::time_point due_{};  // when `rate` allows the next burst
};

class IpfixStreamSink final : public Sink {
 public:
  // Connects to nothing yet. `tls`: none for plain TCP. `clock` outlives the sink.
  // Errors: as TlsContext::create().
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(std::string name, HostPort endpoint,
                                                          const IpfixSinkSettings& settings,
                                                          std::optional<TlsSettings> tls, const Clock& clock);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override { return stream_.reopen(); }
  Result<void> flush() override { return stream_.flush(); }

 private:
  IpfixStreamSink(std::string name, HostPort endpoint, const IpfixSinkSettings& settings,
                  std::optional<TlsSettings> tls, const Clock& clock);
  std::string greet(std::deque<std::string>& again);

  const std::string name_;
  const Clock& clock_;
  IpfixBatch batch_;
  ResendingStream stream_;
};

}  // namespace natsession
