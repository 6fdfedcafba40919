// SyslogStreamSink: records as syslog messages over TCP (RFC 6587) or TLS (RFC 5425).
//
// What syslog promises, and what not. It has no acknowledgement. A record counts as taken when the receiver's
// kernel has acknowledged the bytes of its message; what is lost on the way, or while the receiver is away,
// is sent again. A receiver that dies, or is restarted, with messages that it had not read, resets the
// connection: so the last megabyte that was acknowledged is kept, and is sent again when a connection ends in
// any way but in good order. What cannot be known: whether what a receiver had read is on its disk; and what
// its kernel held unread when its whole machine died while this program ended, too. So records may come
// twice: (session_id, seq) tells them. No message is sent in part and then continued.
//
//   what happens                                                 answer
//   the name does not resolve; refused, reset, closed, silent    RetryLater
//   the peer takes nothing for `timeout`                         RetryLater
//   what the peer says is no TLS, or cut                         RetryLater
//   its certificate, or ours, is not accepted; no common terms   TargetFailed Unauthorized
//   a message is longer than max_message                         Rejected
//
// Threads: as sink.h says.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sink/sink_url.h"
#include "sink/stream_connection.h"
#include "sink/syslog_message.h"
#include "sink/tls_session.h"

namespace natsession {

[[nodiscard]] SinkKind syslog_tcp_kind();
[[nodiscard]] SinkKind syslog_tls_kind();

class SyslogStreamSink final : public Sink {
 public:
  // Connects to nothing yet. `tls`: none for plain TCP.
  // Errors: as TlsContext::create().
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(std::string name, HostPort endpoint,
                                                          const SyslogSettings& settings,
                                                          std::optional<TlsSettings> tls);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  // Reads certificates and keys anew; the next batch goes out on a new connection.
  Result<void> reopen() override;
  // Sends again what the receiver may not have read.
  // Errors: kIo, why it could not.
  Result<void> flush() override;

 private:
  SyslogStreamSink(std::string name, HostPort endpoint, const SyslogSettings& settings,
                   std::optional<TlsSettings> tls);
  Result<void> load_tls();
  std::optional<Answer> catch_up();
  Answer send(std::string_view text);
  void remember(std::string_view text);
  void forget_confirmed();
  void leave();

  const std::string name_;
  const std::optional<TlsSettings> tls_;
  SyslogBatch batch_;
  StreamTarget target_;  // outlives the connection
  std::unique_ptr<StreamConnection> connection_;
  std::size_t window_bytes_;  // of messages under way at once
  // What the receiver's kernel has acknowledged last, and of it so many parts on the present connection. The
  // others were acknowledged on one that did not end well.
  std::deque<std::string> recent_;
  std::size_t recent_bytes_ = 0;
  std::size_t confirmed_ = 0;
};

}  // namespace natsession
