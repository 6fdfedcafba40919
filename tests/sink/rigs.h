// Rigs of all sinks for the conformance suite: a sink whose destination takes a little, then nothing until
// give_room(). arrived() is what is there as a whole, in order.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/guarded.h"
#include "sink/ipfix/ipfix_sink.h"
#include "sink/ipfix_reader.h"
#include "sink/local/exec_sink.h"
#include "sink/local/journald_sink.h"
#include "sink/local/stdout_sink.h"
#include "sink/loopback.h"
#include "sink/sink_fixture.h"
#include "sink/syslog/syslog_datagram_sink.h"
#include "sink/syslog/syslog_stream_sink.h"
#include "sink/syslog_reader.h"
#include "support/fake_journal.h"
#include "support/small_disk.h"

#ifdef NATSESSION_TEST_TLS
#include "sink/tls_peer.h"
#endif
#ifdef NATSESSION_TEST_HTTP
#include <nlohmann/json.hpp>

#include "sink/clickhouse/clickhouse_sink.h"
#include "sink/clickhouse_peer.h"
#include "sink/http/http_sink.h"
#include "sink/http_peer.h"
#include "sink/otlp_reader.h"
#endif
#ifdef NATSESSION_TEST_CLOUD
#include "sink/cloud_peer.h"
#endif
#ifdef NATSESSION_TEST_KAFKA
#include "sink/kafka/kafka_sink.h"
#include "sink/kafka_cluster.h"
#endif

namespace natsession::testing {

// What was not taken may arrive all the same, and then comes again.
enum Repeats : bool { kNeverRepeats, kMayRepeat };
// What is taken has arrived when deliver() returns, or some time after.
enum Arrival : bool { kArrivesLater, kArrivesAtOnce };

template <Repeats kHow, Arrival kWhen>
struct Rig {
  static constexpr bool kRepeats = kHow == kMayRepeat;
  static constexpr bool kAtOnce = kWhen == kArrivesAtOnce;
  // Why the rig cannot be had here.
  std::string why_not() const { return {}; }

 protected:
  ManualClock clock_{UnixNs(std::chrono::seconds(0))};
};

class StdoutRig : public Rig<kNeverRepeats, kArrivesAtOnce> {
 public:
  Sink& sink() { return sink_; }
  void give_room() { got_ += read_available(pipe_.read.get()); }
  std::vector<std::uint32_t> arrived() {
    give_room();
    return numbers_in(got_);
  }

 private:
  SmallPipe pipe_;
  StdoutSink sink_{"stdout", json(), pipe_.write.get()};
  std::string got_;
};

class FifoRig : public Rig<kNeverRepeats, kArrivesAtOnce> {
 public:
  FifoRig() {
    mkfifo(path_.c_str(), 0600);
    reader_.reset(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    fcntl(reader_.get(), F_SETPIPE_SZ, 16384);
    sink_ = std::move(*open_sink("file:" + path_, {}, clock_));
  }
  Sink& sink() { return *sink_; }
  void give_room() { got_ += read_available(reader_.get()); }
  std::vector<std::uint32_t> arrived() {
    give_room();
    return numbers_in(got_);
  }

 private:
  TempDir directory_;
  std::string path_ = directory_.file("fifo");
  UniqueFd reader_;
  std::unique_ptr<Sink> sink_;
  std::string got_;
};

class LimitedFileRig : public Rig<kNeverRepeats, kArrivesAtOnce> {
 public:
  Sink& sink() { return *sink_; }
  void give_room() { limit_.set(bytes_ += 1234); }
  std::vector<std::uint32_t> arrived() { return numbers_in(read_file(path_)); }

 private:
  TempDir directory_;
  std::string path_ = directory_.file("log");
  std::unique_ptr<Sink> sink_ = std::move(*open_sink("file:" + path_, {}, clock_));
  rlim_t bytes_ = 1000;
  FileSizeLimit limit_{bytes_};
};

class FullDiskRig : public Rig<kNeverRepeats, kArrivesAtOnce> {
 public:
  FullDiskRig() {
    if (disk_.why_not().empty()) sink_ = std::move(*open_sink("file:" + disk_.file("log"), {}, clock_));
  }
  Sink& sink() { return *sink_; }
  void give_room() { disk_.resize(kib_ += 16); }
  std::vector<std::uint32_t> arrived() { return numbers_in(read_file(disk_.file("log"))); }
  std::string why_not() const { return disk_.why_not(); }

 private:
  std::size_t kib_ = 16;
  SmallDisk disk_{kib_};
  std::unique_ptr<Sink> sink_;
};

class JournaldRig : public Rig<kNeverRepeats, kArrivesAtOnce> {
 public:
  Sink& sink() { return *sink_; }
  void give_room() {
    for (const auto& entry : journal_.receive()) {
      got_.push_back(static_cast<std::uint32_t>(std::stoul(entry.at("NATSESSION_SEQ"))));
    }
  }
  std::vector<std::uint32_t> arrived() {
    give_room();
    return got_;
  }

 private:
  FakeJournal journal_;
  std::unique_ptr<Sink> sink_ = std::move(*JournaldSink::open(
      "journald",
      {.options = {}, .socket_path = journal_.socket_path(), .patience = std::chrono::milliseconds(0)}));
  std::vector<std::uint32_t> got_;
};

inline SyslogSettings syslog_settings(SyslogFraming framing, std::chrono::milliseconds timeout) {
  return {.header = {}, .options = {.format = RecordFormat::kLogfmt}, .framing = framing, .timeout = timeout};
}

inline HostPort endpoint_of(const std::string& place) {
  return *HostPort::parse(place);
}

class SyslogLocalRig : public Rig<kNeverRepeats, kArrivesAtOnce> {
 public:
  Sink& sink() { return sink_; }
  void give_room() {
    for (const std::string& message : peer_.take()) got_.push_back(number_of(message));
  }
  std::vector<std::uint32_t> arrived() {
    give_room();
    return got_;
  }

 private:
  TempDir directory_;
  LocalPeer peer_{directory_.file("log")};
  SyslogDatagramSink sink_{"syslog:", peer_.path(),
                           syslog_settings(SyslogFraming::kNone, std::chrono::milliseconds(1)), clock_};
  std::vector<std::uint32_t> got_;
};

// At first nobody listens on the port.
class UdpRig : public Rig<kMayRepeat, kArrivesAtOnce> {
 public:
  UdpRig() { peer_.close(); }
  void give_room() {
    if (closed_) peer_.open_again();
    closed_ = false;
  }

 protected:
  UdpPeer peer_;
  bool closed_ = true;
  std::vector<std::uint32_t> got_;
};

class SyslogUdpRig : public UdpRig {
 public:
  Sink& sink() { return sink_; }
  std::vector<std::uint32_t> arrived() {
    if (closed_) return got_;
    for (const std::string& message : peer_.take()) got_.push_back(number_of(message));
    return got_;
  }

 private:
  SyslogDatagramSink sink_{"syslog+udp://", endpoint_of(peer_.place()),
                           syslog_settings(SyslogFraming::kNone, std::chrono::milliseconds(100)), clock_};
};

// Each port that messages came from is a session of its own.
class IpfixUdpRig : public UdpRig {
 public:
  Sink& sink() { return sink_; }
  std::vector<std::uint32_t> arrived() {
    if (closed_) return got_;
    for (const Datagram& datagram : peer_.take_from()) {
      IpfixReader& reader = sessions_[datagram.from];
      const std::size_t before = reader.records.size();
      reader.read(datagram.bytes);
      for (std::size_t i = before; i < reader.records.size(); ++i)
        got_.push_back(number_of(reader.records[i]));
    }
    return got_;
  }

 private:
  IpfixDatagramSink sink_{"ipfix://",
                          endpoint_of(peer_.place()),
                          {.records = {}, .timeout = std::chrono::milliseconds(100)},
                          clock_};
  std::map<std::uint16_t, IpfixReader> sessions_;
};

// What goes over a stream: how its sink is opened, and what a connection brought.

template <SyslogFraming kFraming>
struct SyslogStream {
  static constexpr std::size_t kFirstRead = 20'000;  // bytes; the first batch has more
  static std::unique_ptr<Sink> open(const HostPort& endpoint, std::chrono::milliseconds timeout,
                                    std::optional<TlsSettings> tls, const Clock&) {
    return std::move(*SyslogStreamSink::open("syslog+tcp://", endpoint, syslog_settings(kFraming, timeout),
                                             std::move(tls)));
  }
  static std::vector<std::uint32_t> numbers_of_stream(const std::string& part) {
    return numbers_of(kFraming == SyslogFraming::kOctets ? split_octets(part) : split_lines(part));
  }
};

struct IpfixStream {
  static constexpr std::size_t kFirstRead = 2'000;
  static std::unique_ptr<Sink> open(const HostPort& endpoint, std::chrono::milliseconds timeout,
                                    std::optional<TlsSettings> tls, const Clock& clock) {
    return std::move(*IpfixStreamSink::open("ipfix+tcp://", endpoint, {.records = {}, .timeout = timeout},
                                            std::move(tls), clock));
  }
  static std::vector<std::uint32_t> numbers_of_stream(const std::string& part) {
    IpfixReader reader;
    reader.read_stream(part);
    return numbers_of(reader.records);
  }
};

// Each connection is read further than the one before, then no more until it ends.
template <typename Stream>
class TcpRig : public Rig<kMayRepeat, kArrivesLater> {
 public:
  ~TcpRig() {
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
        for (const std::uint32_t number : Stream::numbers_of_stream(part)) all.push_back(number);
      }
    });
    return all;
  }

 private:
  void read_all() {
    for (std::size_t limit = Stream::kFirstRead;; limit *= 2) {
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

  Listener listener_{static_cast<int>(Stream::kFirstRead)};
  Guarded<std::vector<std::string>> got_;
  std::thread reader_{[this] { read_all(); }};
  std::unique_ptr<Sink> sink_ =
      Stream::open(endpoint_of(listener_.place()), std::chrono::milliseconds(50), std::nullopt, clock_);
};

// The command reads some bytes for each line that comes through a gate.
class ExecRig : public Rig<kNeverRepeats, kArrivesLater> {
 public:
  ExecRig() {
    std::signal(SIGPIPE, SIG_IGN);
    mkfifo(gate_.c_str(), 0600);
    gate_fd_.reset(::open(gate_.c_str(), O_RDWR | O_CLOEXEC));
    const std::string command =
        "while read -r go <" + gate_ + "; do dd bs=20000 count=1 status=none >>" + out_ + "; done";
    sink_ = std::make_unique<ExecSink>(
        "exec:",
        ExecSettings{.command = command,
                     .options = {},
                     .timeout = std::chrono::milliseconds(50),
                     .patience = {std::chrono::milliseconds(0), std::chrono::milliseconds(0)}},
        std::make_unique<ShellCommand>(Command{.text = command}));
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

 private:
  TempDir directory_;
  std::string gate_ = directory_.file("gate");
  std::string out_ = directory_.file("out");
  UniqueFd gate_fd_;
  std::unique_ptr<ExecSink> sink_;
};

#ifdef NATSESSION_TEST_TLS
template <typename Stream>
class TlsRig : public Rig<kMayRepeat, kArrivesLater> {
 public:
  TlsRig() {
    std::signal(SIGPIPE, SIG_IGN);
    sink_ = Stream::open(
        endpoint_of("localhost:" + peer_.port()), std::chrono::milliseconds(100),
        TlsSettings{
            .ca_file = Certificates::get().crt("ca"), .cert_file = {}, .key_file = {}, .server_name = {}},
        clock_);
  }
  Sink& sink() { return *sink_; }
  void give_room() {}
  std::vector<std::uint32_t> arrived() {
    std::vector<std::uint32_t> all;
    for (const std::string& part : peer_.connections()) {
      for (const std::uint32_t number : Stream::numbers_of_stream(part)) all.push_back(number);
    }
    return all;
  }

 private:
  TlsPeer peer_{{.pauses_after = Stream::kFirstRead, .receive_buffer = static_cast<int>(Stream::kFirstRead)}};
  std::unique_ptr<Sink> sink_;
};
#endif

#ifdef NATSESSION_TEST_HTTP
// Every second request is answered with 503. `Server` says the sink's URL, what it answers where all is well,
// and which numbers a request has.
template <typename Server>
class HttpServerRig : public Rig<kNeverRepeats, kArrivesAtOnce> {
 public:
  Sink& sink() { return *sink_; }
  void give_room() { busy_ = false; }
  std::vector<std::uint32_t> arrived() {
    return got_.with([](const std::vector<std::uint32_t>& got) { return got; });
  }

 private:
  HttpAnswer answer(const ReceivedRequest& request) {
    if (busy_.exchange(true)) return HttpAnswer::status(503);
    got_.with([&](std::vector<std::uint32_t>& got) {
      for (const std::uint32_t number : Server::numbers_of_request(request)) got.push_back(number);
    });
    return Server::ok();
  }

  std::atomic<bool> busy_{true};
  Guarded<std::vector<std::uint32_t>> got_;
  HttpPeer peer_{[this](const ReceivedRequest& request) { return answer(request); }};
  std::unique_ptr<Sink> sink_ = std::move(*open_sink(Server::url(peer_), {}, clock_));
};

struct PlainHttp {
  static std::string url(const HttpPeer& peer) { return url_as("http", peer.url("/log")); }
  static HttpAnswer ok() { return HttpAnswer::status(200, {}, ""); }
  static std::vector<std::uint32_t> numbers_of_request(const ReceivedRequest& request) {
    return numbers_in(request.text());
  }
};
using HttpRig = HttpServerRig<PlainHttp>;

struct Elasticsearch {
  static std::string url(const HttpPeer& peer) { return url_as("elasticsearch", peer.url("/nat-log")); }
  static HttpAnswer ok() { return HttpAnswer::status(200, {}, R"({"errors":false})"); }
  static std::vector<std::uint32_t> numbers_of_request(const ReceivedRequest& request) {
    std::vector<std::uint32_t> all;
    std::istringstream lines(request.text());
    for (std::string action, document; std::getline(lines, action) && std::getline(lines, document);)
      all.push_back(nlohmann::json::parse(document).at("natsession.seq"));
    return all;
  }
};
using ElasticsearchRig = HttpServerRig<Elasticsearch>;

struct Loki {
  static std::string url(const HttpPeer& peer) { return url_as("loki", peer.url("?format=json&max_age=0s")); }
  static HttpAnswer ok() { return HttpAnswer::status(200, {}, ""); }
  static std::vector<std::uint32_t> numbers_of_request(const ReceivedRequest& request) {
    std::vector<std::uint32_t> all;
    const auto push = nlohmann::json::parse(request.text());
    for (const auto& stream : push.at("streams")) {
      for (const auto& value : stream.at("values")) {
        for (const std::uint32_t number : numbers_in(value.at(1).get<std::string>() + "\n"))
          all.push_back(number);
      }
    }
    std::sort(all.begin(), all.end());  // one stream stands behind the other
    return all;
  }
};
using LokiRig = HttpServerRig<Loki>;

struct Otlp {
  static std::string url(const HttpPeer& peer) { return url_as("otlp", peer.url("")); }
  static HttpAnswer ok() { return HttpAnswer::status(200, {}, ""); }
  static std::vector<std::uint32_t> numbers_of_request(const ReceivedRequest& request) {
    std::vector<std::uint32_t> all;
    for (const std::string& resource : ProtobufMessage(request.text()).all(1)) {
      for (const std::string& log : ProtobufMessage(ProtobufMessage(resource).one(2)).all(2)) {
        const std::string seq = attributes(ProtobufMessage(log).all(6)).at("natsession.seq");
        all.push_back(static_cast<std::uint32_t>(std::stoul(seq.substr(1))));
      }
    }
    std::sort(all.begin(), all.end());  // one origin's stands behind the other
    return all;
  }
};
using OtlpRig = HttpServerRig<Otlp>;
// Every second insert is answered by "too many parts".
class ClickHouseRig : public Rig<kNeverRepeats, kArrivesAtOnce> {
 public:
  Sink& sink() { return *sink_; }
  void give_room() { busy_ = false; }
  std::vector<std::uint32_t> arrived() { return peer_.numbers(); }

 private:
  std::atomic<bool> busy_{true};
  ClickHousePeer peer_{[this](const ReceivedRequest&) {
    return busy_.exchange(true) ? ClickHousePeer::error(500, 252) : HttpAnswer();
  }};
  std::unique_ptr<Sink> sink_ = std::move(
      *ClickHouseSink::open("clickhouse://", *clickhouse::Place::parse(*SinkUrl::parse(peer_.url()))));
};
#endif

#ifdef NATSESSION_TEST_CLOUD
// Likewise, of a cloud's log service.
struct SlsPeer {
  static std::string url(const HttpPeer& peer) { return sls_url(peer); }
  static std::vector<std::uint32_t> numbers_of_request(const ReceivedRequest& request) {
    return numbers_of_sls(request);
  }
  static HttpAnswer ok() { return sls_ok(); }
};
struct ClsPeer {
  static std::string url(const HttpPeer& peer) { return cls_url(peer); }
  static std::vector<std::uint32_t> numbers_of_request(const ReceivedRequest& request) {
    return numbers_of_group(group_of_cls(request));
  }
  static HttpAnswer ok() { return cls_ok(); }
};
struct LtsPeer {
  static std::string url(const HttpPeer& peer) { return lts_url(peer); }
  static std::vector<std::uint32_t> numbers_of_request(const ReceivedRequest& request) {
    return numbers_in(lines_of_lts(request).text);
  }
  static HttpAnswer ok() { return lts_ok(); }
};
#endif

#ifdef NATSESSION_TEST_KAFKA
// At first no broker is there.
class KafkaRig : public Rig<kNeverRepeats, kArrivesLater> {
 public:
  KafkaRig() { cluster_.set_down(true); }
  Sink& sink() { return *sink_; }
  void give_room() {
    if (std::exchange(down_, false)) cluster_.set_down(false);
  }
  std::vector<std::uint32_t> arrived() {
    if (down_) return {};
    std::string lines;
    for (const KafkaMessage& message : cluster_.messages()) lines += message.value + "\n";
    return numbers_in(lines);
  }

 private:
  bool down_ = true;
  KafkaCluster cluster_{1, 1};
  std::unique_ptr<Sink> sink_ = std::move(
      *KafkaSink::open("kafka://", *KafkaSettings::parse(*SinkUrl::parse(cluster_.url() + "?timeout=200ms")),
                       {.format = RecordFormat::kJson}));
};
#endif

}  // namespace natsession::testing
