// ResendingStream: messages over TCP or TLS to a peer whose protocol acknowledges nothing: syslog, IPFIX.
//
// A message counts as sent when the peer's kernel has acknowledged its bytes. A peer that dies, or is
// restarted, with messages that it had not read, resets the connection: so the last megabyte that was
// acknowledged is kept, and is sent again when a connection ends in any way but in good order. What cannot be
// known: whether what a peer had read is on its disk; and what its kernel held unread when its whole machine
// died while this program ended, too. No message is sent in part and then continued.
//
//   what happens                                                 answer
//   the name does not resolve; refused, reset, closed, silent    RetryLater
//   the peer takes nothing for `timeout`                         RetryLater
//   what the peer says is no TLS, or cut                         RetryLater
//   its certificate, or ours, is not accepted; no common terms   TargetFailed Unauthorized
//
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sink/sink_kind.h"
#include "sink/transport/stream_connection.h"
#include "sink/transport/tls_settings.h"

namespace natsession {

class ResendingStream {
 public:
  // Called on each new connection with what will go out on it again, to be changed as the protocol wants it.
  // Returns what goes out before; it is not kept.
  using Greet = std::function<std::string(std::deque<std::string>& again)>;

  // Connects to nothing yet. `tls`: none for plain TCP. `greet`: may be empty.
  ResendingStream(HostPort endpoint, std::chrono::milliseconds timeout, std::optional<TlsSettings> tls,
                  Greet greet = {});

  // Reads certificates and keys.
  // Errors: as TlsContext::create().
  [[nodiscard]] Result<void> load_tls();

  // Before a batch: a peer that closed an idle connection is no fault, since the next one is as good.
  void look();
  // Connects if need be, and sends what may have been lost with the connection before. Returns what to answer
  // if that failed; its `taken` means nothing.
  [[nodiscard]] std::optional<Answer> catch_up();
  // catch_up(), and then `text`, which are whole messages. Likewise.
  [[nodiscard]] std::optional<Answer> send(std::string_view text);
  // So many bytes should be sent at once: more keeps a far peer busy; less lets a slow one get on within its
  // time.
  [[nodiscard]] std::size_t window_bytes() const { return window_bytes_; }

  // As Sink's.
  Result<void> reopen();
  Result<void> flush();

 private:
  [[nodiscard]] Answer push(std::string_view text);
  void remember(std::string_view text);
  void forget_confirmed();
  void leave();

  const std::optional<TlsSettings> tls_;
  const Greet greet_;
  StreamTarget target_;  // outlives the connection
  std::unique_ptr<StreamConnection> connection_;
  std::size_t window_bytes_;
  // What the peer's kernel has acknowledged last, and of it so many parts on the present connection. The
  // others were acknowledged on one that did not end well.
  std::deque<std::string> recent_;
  std::size_t recent_bytes_ = 0;
  std::size_t confirmed_ = 0;
};

// What the sinks over such a stream have in common in their URLs.

// TLS settings, with servername.
[[nodiscard]] std::vector<SinkOption> stream_tls_options();
// Errors: kUsage, naming URL, key and value.
[[nodiscard]] Result<TlsSettings> parse_stream_tls(const SinkUrl& url);
// An opener with all but open().
[[nodiscard]] SinkOpener stream_opener(const HostPort& endpoint, std::chrono::milliseconds timeout,
                                       const std::optional<TlsSettings>& tls);

}  // namespace natsession
