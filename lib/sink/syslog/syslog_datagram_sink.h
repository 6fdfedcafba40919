// SyslogDatagramSink: records as syslog messages, one a datagram, to a local socket such as /dev/log or over
// UDP (RFC 5426).
//
// On a local socket a receiver that is slow is waited for; what it had not read when it died is lost. UDP
// promises nothing: what the network or a receiver's full buffer drops, nobody learns of. Only where the
// receiver's host says that nobody listens is the batch sent again, as a whole.
//
//   what happens                                              answer
//   the local socket is absent, no socket, a stream socket    TargetFailed ProjectNotExist; if it was there,
//                                                             RetryLater for `timeout`: it may be restarting
//   it may not be written to                                  TargetFailed Unauthorized
//   nobody listens on it; UDP: the port is unreachable        RetryLater
//   no room for `timeout`; the name does not resolve          RetryLater
//   a message is longer than max_message or the socket takes  Rejected
//
// Threads: as sink.h says.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "sink/sink_url.h"
#include "sink/syslog/syslog_message.h"
#include "sink/transport/datagram_socket.h"

namespace natsession {

[[nodiscard]] SinkKind syslog_kind();
[[nodiscard]] SinkKind syslog_udp_kind();

class SyslogDatagramSink final : public Sink {
 public:
  // `clock` outlives the sink.
  SyslogDatagramSink(std::string name, std::string path, const SyslogSettings& settings, const Clock& clock);
  SyslogDatagramSink(std::string name, HostPort endpoint, const SyslogSettings& settings, const Clock& clock);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override;  // asks for the address again

 private:
  std::optional<Answer> connect();
  std::optional<Answer> connect_local();
  std::optional<Answer> connect_udp();
  [[nodiscard]] Answer local_failure(int error_number) const;
  Answer failure(std::size_t taken, int error_number);

  const std::string name_;
  const std::string path_;                  // of a local socket; empty with UDP
  const std::optional<HostPort> endpoint_;  // UDP
  const std::string target_;                // for messages
  const std::chrono::milliseconds timeout_;
  const Clock& clock_;
  SyslogBatch batch_;
  DatagramSocket socket_;
  std::vector<std::string_view> messages_;
  std::optional<std::chrono::nanoseconds> last_there_;  // steady: when the local socket took something
};

}  // namespace natsession
