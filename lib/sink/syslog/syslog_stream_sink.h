// SyslogStreamSink: records as syslog messages over TCP (RFC 6587) or TLS (RFC 5425).
//
// What counts as taken, what is sent again, and the answers: ResendingStream. Records may come twice:
// (session_id, seq) tells them. And a message that is longer than max_message is Rejected.
//
// Threads: as sink.h says.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sink/sink_url.h"
#include "sink/syslog/syslog_message.h"
#include "sink/transport/resending_stream.h"

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
  Result<void> reopen() override { return stream_.reopen(); }
  // Sends again what the receiver may not have read.
  // Errors: kIo, why it could not.
  Result<void> flush() override { return stream_.flush(); }

 private:
  SyslogStreamSink(std::string name, HostPort endpoint, const SyslogSettings& settings,
                   std::optional<TlsSettings> tls);

  const std::string name_;
  SyslogBatch batch_;
  ResendingStream stream_;
};

}  // namespace natsession
