// Rigs of the sinks behind a socket, a network or a command (see local_rigs.h). kAtOnce: what is taken has
// arrived when deliver() returns. kRepeats: what was not taken may arrive all the same, and then comes again.
#pragma once

#include <sys/stat.h>

#include <array>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/guarded.h"
#include "sink/exec_sink.h"
#include "sink/lines.h"
#include "sink/loopback.h"
#include "sink/syslog_datagram_sink.h"
#include "sink/syslog_reader.h"
#include "sink/syslog_stream_sink.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

namespace natsession::testing {

inline SyslogSettings syslog_settings(SyslogFraming framing, std::chrono::milliseconds timeout) {
  return {.header = {}, .options = {.format = RecordFormat::kLogfmt}, .framing = framing, .timeout = timeout};
}

inline HostPort endpoint_of(const std::string& place) {
  return *HostPort::parse(place);
}

class SyslogLocalRig {
 public:
  static constexpr bool kRepeats = false;
  static constexpr bool kAtOnce = true;

  Sink& sink() { return sink_; }
  void give_room() {
    for (const std::string& message : peer_.take()) got_.push_back(number_of(message));
  }
  std::vector<std::uint32_t> arrived() {
    give_room();
    return got_;
  }
  std::string why_not() const { return {}; }

 private:
  TempDir directory_;
  LocalPeer peer_{directory_.file("log")};
  ManualClock clock_{UnixNs(std::chrono::seconds(0))};
  SyslogDatagramSink sink_{"syslog:", peer_.path(),
                           syslog_settings(SyslogFraming::kNone, std::chrono::milliseconds(1)), clock_};
  std::vector<std::uint32_t> got_;
};

// At first nobody listens on the port.
class SyslogUdpRig {
 public:
  static constexpr bool kRepeats = true;
  static constexpr bool kAtOnce = true;

  SyslogUdpRig() { peer_.close(); }
  Sink& sink() { return sink_; }
  void give_room() {
    if (closed_) peer_.open_again();
    closed_ = false;
  }
  std::vector<std::uint32_t> arrived() {
    if (closed_) return got_;
    for (const std::string& message : peer_.take()) got_.push_back(number_of(message));
    return got_;
  }
  std::string why_not() const { return {}; }

 private:
  UdpPeer peer_;
  bool closed_ = true;
  ManualClock clock_{UnixNs(std::chrono::seconds(0))};
  SyslogDatagramSink sink_{"syslog+udp://", endpoint_of(peer_.place()),
                           syslog_settings(SyslogFraming::kNone, std::chrono::milliseconds(100)), clock_};
  std::vector<std::uint32_t> got_;
};

// Each connection is read further than the one before, then no more until it ends.
template <SyslogFraming kFraming>
class SyslogTcpRig {
 public:
  static constexpr bool kRepeats = true;
  static constexpr bool kAtOnce = false;

  ~SyslogTcpRig() {
    sink_.reset();  // ends the connection that is being read
    ::shutdown(listener_.fd(), SHUT_RDWR);
    reader_.join();
  }
  Sink& sink() { return *sink_; }
  void give_room() {}
  std::vector<std::uint32_t> arrived() {
    std::vector<std::uint32_t> all;
    got_.with([&](const std::vector<std::string>& got) {
      for (const std::string& part : got) {
        const auto messages = kFraming == SyslogFraming::kOctets ? split_octets(part) : split_lines(part);
        for (const std::string& message : messages) all.push_back(number_of(message));
      }
    });
    return all;
  }
  std::string why_not() const { return {}; }

 private:
  void read_all() {
    for (std::size_t limit = 20'000;; limit *= 2) {
      const UniqueFd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      got_.with([](auto& got) { got.emplace_back(); });
      std::array<char, 4096> part;
      std::size_t all = 0;
      ssize_t count = 0;
      while ((count = ::read(fd.get(), part.data(), part.size())) > 0) {
        got_.with([&](auto& got) { got.back().append(part.data(), static_cast<std::size_t>(count)); });
        all += static_cast<std::size_t>(count);
        if (all >= limit) wait_for_end(fd.get());
      }
    }
  }
  static void wait_for_end(int fd) {
    pollfd wait{.fd = fd, .events = POLLRDHUP, .revents = 0};
    ::poll(&wait, 1, 500);
  }

  Listener listener_{16 << 10};
  Guarded<std::vector<std::string>> got_;
  std::thread reader_{[this] { read_all(); }};
  std::unique_ptr<Sink> sink_ = std::move(
      *SyslogStreamSink::open("syslog+tcp://", endpoint_of(listener_.place()),
                              syslog_settings(kFraming, std::chrono::milliseconds(50)), std::nullopt));
};

// The command reads some bytes for each line that comes through a gate.
class ExecRig {
 public:
  static constexpr bool kRepeats = false;
  static constexpr bool kAtOnce = false;

  ExecRig() {
    std::signal(SIGPIPE, SIG_IGN);
    mkfifo(gate_.c_str(), 0600);
    gate_fd_.reset(::open(gate_.c_str(), O_RDWR | O_CLOEXEC));
    sink_ = std::make_unique<ExecSink>(
        "exec:", ExecSettings{.command = "while read -r go <" + gate_ +
                                         "; do dd bs=20000 count=1 status=none >>" + out_ + "; done",
                              .options = {},
                              .timeout = std::chrono::milliseconds(50),
                              .patience = {std::chrono::milliseconds(0), std::chrono::milliseconds(0)}});
  }
  Sink& sink() { return *sink_; }
  void give_room() {
    const bool given = ::write(gate_fd_.get(), "\n", 1) == 1;
    if (!given) throw std::runtime_error("the gate is full");
  }
  std::vector<std::uint32_t> arrived() {
    if (::access(out_.c_str(), F_OK) != 0) return {};
    return numbers_in(read_file(out_));
  }
  std::string why_not() const { return {}; }

 private:
  TempDir directory_;
  std::string gate_ = directory_.file("gate");
  std::string out_ = directory_.file("out");
  UniqueFd gate_fd_;
  std::unique_ptr<ExecSink> sink_;
};

}  // namespace natsession::testing
