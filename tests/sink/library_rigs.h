// Rigs of the sinks that need an outside library (see local_rigs.h and remote_rigs.h).
#pragma once

#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "sink/remote_rigs.h"

#ifdef NATSESSION_TEST_TLS
#include "sink/tls_peer.h"
#endif
#ifdef NATSESSION_TEST_HTTP
#include "sink/http_peer.h"
#include "sink/http_sink.h"
#endif

namespace natsession::testing {

#ifdef NATSESSION_TEST_TLS
class SyslogTlsRig {
 public:
  static constexpr bool kRepeats = true;
  static constexpr bool kAtOnce = false;

  SyslogTlsRig() {
    std::signal(SIGPIPE, SIG_IGN);
    sink_ = std::move(*SyslogStreamSink::open(
        "syslog+tls://", endpoint_of("localhost:" + peer_.port()),
        syslog_settings(SyslogFraming::kOctets, std::chrono::milliseconds(100)),
        TlsSettings{
            .ca_file = Certificates::get().crt("ca"), .cert_file = {}, .key_file = {}, .server_name = {}}));
  }
  Sink& sink() { return *sink_; }
  void give_room() {}
  std::vector<std::uint32_t> arrived() {
    std::vector<std::uint32_t> all;
    for (const std::string& part : peer_.connections()) {
      for (const std::string& message : split_octets(part)) all.push_back(number_of(message));
    }
    return all;
  }
  std::string why_not() const { return {}; }

 private:
  TlsPeer peer_{{.pauses_after = 20'000, .receive_buffer = 16 << 10}};
  std::unique_ptr<Sink> sink_;
};
#endif

#ifdef NATSESSION_TEST_HTTP
// Every second request is answered with 503.
class HttpRig {
 public:
  static constexpr bool kRepeats = false;
  static constexpr bool kAtOnce = true;

  Sink& sink() { return *sink_; }
  void give_room() { busy_ = false; }
  std::vector<std::uint32_t> arrived() {
    return numbers_in(got_.with([](const std::string& got) { return got; }));
  }
  std::string why_not() const { return {}; }

 private:
  HttpAnswer answer(const HttpRequest& request) {
    if (busy_.exchange(true)) return HttpAnswer::status(503);
    got_.with([&](std::string& got) { got += request.text(); });
    return HttpAnswer::status(200);
  }

  std::atomic<bool> busy_{true};
  Guarded<std::string> got_;
  HttpPeer peer_{[this](const HttpRequest& request) { return answer(request); }};
  std::unique_ptr<Sink> sink_ = std::move(*HttpSink::open(
      "http://", *HttpSettings::parse(*SinkUrl::parse(peer_.url())), {.format = RecordFormat::kJson}));
};
#endif

}  // namespace natsession::testing
