#include "sink/ipfix/ipfix_sink.h"

#include <algorithm>
#include <cerrno>
#include <thread>

#include <unistd.h>

#include "sink/transport/deadline.h"

namespace natsession {
namespace {

// A burst: a collector that has left its buffer as Linux makes it (208 KiB, of which a datagram of 1,500
// bytes takes 2,304) holds one while it does something else.
constexpr std::size_t kBurstBytes = 64 << 10;
// Of a stream's message: longer ones save nothing, and a collector keeps one in memory whole.
constexpr std::size_t kStreamMessage = 16 << 10;

constexpr std::uint16_t kIpfixPort = 4739;     // RFC 7011, 10.1
constexpr std::uint16_t kIpfixTlsPort = 4740;  // likewise

// --check waits so long for the word that nobody listens.
constexpr std::chrono::milliseconds kRefusalLimit{300};

std::span<const Option<IpfixSettings>> ipfix_record_options() {
  static const Names<bool> kYesNo{{"yes", true}, {"no", false}};
  static const Option<IpfixSettings> kTable[] = {
      {"domain", "N", "observation domain: give each instance one of its own",
       number_option(&IpfixSettings::domain, Range<std::uint32_t>{0, 0xffffffff})},
      {"instance_id", "N", "natInstanceID in each record; 0: none",
       number_option(&IpfixSettings::instance_id, Range<std::uint32_t>{0, 0xffffffff})},
      {"destination", "yes|no", "no leaves out whom a session was with (RFC 6888, REQ-12)",
       choice_option(&IpfixSettings::destination, kYesNo)},
      {"options", "yes|no",
       "gaps and the name of the instance, as records of options; no for nfcapd, which miscounts behind them",
       choice_option(&IpfixSettings::options, kYesNo)},
  };
  return kTable;
}

std::span<const Option<IpfixSinkSettings>> ipfix_transport_options() {
  static const Option<IpfixSinkSettings> kTable[] = {
      {"timeout", "TIME", "to connect, and for a collector that takes nothing",
       time_option(&IpfixSinkSettings::timeout, {std::chrono::milliseconds(100), std::chrono::minutes(5)})},
  };
  return kTable;
}

std::span<const Option<IpfixSinkSettings>> ipfix_udp_options() {
  static const Option<IpfixSinkSettings> kTable[] = {
      {"template_refresh", "TIME", "UDP: how often templates go out anew",
       time_option(&IpfixSinkSettings::template_refresh, {std::chrono::seconds(1), std::chrono::hours(1)})},
      {"rate", "N", "UDP: records a second, at most, so that a collector follows",
       number_option(&IpfixSinkSettings::rate, Range<std::size_t>{1000, 100'000'000})},
      {"mtu", "BYTES", "UDP: no datagram is longer, nor than the path takes",
       number_option(&IpfixSinkSettings::mtu, Range<std::size_t>{576, 65'535})},
  };
  return kTable;
}

Result<IpfixSinkSettings> parse_ipfix(const SinkUrl& url) {
  IpfixSinkSettings settings;
  settings.records.process_id = static_cast<std::uint32_t>(::getpid());
  if (auto read = read_options(url, ipfix_record_options(), settings.records); !read) return read.error();
  for (const auto table : {ipfix_transport_options(), ipfix_udp_options()}) {
    if (auto read = read_options(url, table, settings); !read) return read.error();
  }
  return settings;
}

IpfixSinkSettings with_encoder(IpfixSinkSettings settings, const EncoderOptions& options) {
  settings.records.fields = options.fields;
  settings.records.with_netns = options.with_netns;
  return settings;
}

// A message without a record, of the domain that means none: who listens has nothing to keep of it.
Result<Reached> reach_by_datagram(const HostPort& endpoint) {
  const auto addresses = resolve(endpoint, SOCK_DGRAM);
  if (!addresses) return addresses.error();
  DatagramSocket socket;
  const auto failed = [&](int error_number) {
    return system_error("send to " + endpoint.to_string(), error_number, ErrorKind::kUnavailable);
  };
  if (const int error_number = socket.connect_udp(addresses->front()); error_number != 0)
    return failed(error_number);
  using namespace std::string_view_literals;
  constexpr std::string_view kNothing = "\0\x0a\0\x10\0\0\0\0\0\0\0\0\0\0\0\0"sv;
  std::size_t sent = 0;
  if (const int error_number = socket.send({&kNothing, 1}, kRefusalLimit, sent); error_number != 0)
    return failed(error_number);
  if (const int error_number = socket.wait_for_error(kRefusalLimit); error_number != 0)
    return failed(error_number);
  return Reached{"nobody refuses a message; UDP does not tell whether anybody listens", /*known=*/false};
}

Result<SinkOpener> parse_ipfix_datagram(const SinkUrl& url) {
  const auto endpoint = endpoint_of(url, kIpfixPort);
  if (!endpoint) return endpoint.error();
  const auto settings = parse_ipfix(url);
  if (!settings) return settings.error();
  return SinkOpener{
      .reach = [endpoint = *endpoint] { return reach_by_datagram(endpoint); },
      .open = [name = url.name(), endpoint = *endpoint, settings = *settings](
                  const EncoderOptions& options, const Clock& clock) -> Result<std::unique_ptr<Sink>> {
        return std::unique_ptr<Sink>(
            std::make_unique<IpfixDatagramSink>(name, endpoint, with_encoder(settings, options), clock));
      }};
}

Result<SinkOpener> parse_ipfix_stream(const SinkUrl& url, std::uint16_t usual_port,
                                      const std::optional<TlsSettings>& tls) {
  const auto endpoint = endpoint_of(url, usual_port);
  if (!endpoint) return endpoint.error();
  const auto settings = parse_ipfix(url);
  if (!settings) return settings.error();
  SinkOpener opener = stream_opener(*endpoint, settings->timeout, tls);
  opener.open = [name = url.name(), endpoint = *endpoint, settings = *settings, tls](
                    const EncoderOptions& options, const Clock& clock) {
    return IpfixStreamSink::open(name, endpoint, with_encoder(settings, options), tls, clock);
  };
  return opener;
}

Result<SinkOpener> parse_ipfix_tcp(const SinkUrl& url) {
  return parse_ipfix_stream(url, kIpfixPort, std::nullopt);
}

Result<SinkOpener> parse_ipfix_tls(const SinkUrl& url) {
  auto tls = parse_stream_tls(url);
  if (!tls) return tls.error();
  return parse_ipfix_stream(url, kIpfixTlsPort, *tls);
}

std::vector<SinkOption> ipfix_options() {
  return joined(explain(ipfix_record_options()), explain(ipfix_transport_options()));
}

}  // namespace

SinkKind ipfix_kind() {
  return {
      .scheme = "ipfix",
      .usage = "ipfix://HOST[:4739]",
      .help = "IPFIX with NAT events (RFC 8158) to a collector by UDP, which may lose records without a word",
      .options = joined(ipfix_options(), explain(ipfix_udp_options())),
      .remote = true,
      .encoding = SinkEncoding::kBinary,
      .blocks = true,
      .parse = parse_ipfix_datagram};
}

SinkKind ipfix_tcp_kind() {
  return {.scheme = "ipfix+tcp",
          .usage = "ipfix+tcp://HOST[:4739]",
          .help = "the same by TCP; options as ipfix, but for those of UDP",
          .also = ipfix_options(),
          .remote = true,
          .encoding = SinkEncoding::kBinary,
          .blocks = true,
          .parse = parse_ipfix_tcp};
}

SinkKind ipfix_tls_kind() {
  return {.scheme = "ipfix+tls",
          .usage = "ipfix+tls://HOST[:4740]",
          .help = "the same by TLS; options as ipfix+tcp, and those of TLS as syslog+tls",
          .also = joined(ipfix_options(), stream_tls_options()),
          .remote = true,
          .encoding = SinkEncoding::kBinary,
          .blocks = true,
          .missing = TlsContext::kBuiltIn ? "" : "OpenSSL (NATSESSION_SINK_TLS)",
          .parse = parse_ipfix_tls};
}

IpfixDatagramSink::IpfixDatagramSink(std::string name, HostPort endpoint, const IpfixSinkSettings& settings,
                                     const Clock& clock)
    : name_(std::move(name)),
      endpoint_(std::move(endpoint)),
      settings_(settings),
      clock_(clock),
      batch_(settings.records, settings.template_refresh) {}

Answer IpfixDatagramSink::deliver(std::span<const SessionRecord> records) {
  std::size_t taken = 0;
  while (taken < records.size()) {
    if (!socket_.is_open()) {
      if (auto failed = connect()) {
        failed->taken = taken;
        return *failed;
      }
    }
    const std::size_t longest_now = longest();
    batch_.set_longest(longest_now);
    batch_.fill(records.subspan(taken), kBurstBytes, {to_ms(clock_.now()), clock_.steady()});
    std::size_t sent = 0;
    const int error_number = send_messages(sent);
    if (error_number == EMSGSIZE && longest_now > IpfixBatch::kShortest) {
      // Told of this message or of an earlier one, on the way. RFC 7011, 10.3.3: the least where nobody
      // knows.
      narrowest_ = longest() < longest_now ? longest() : IpfixBatch::kShortest;
      taken = 0;
      continue;
    }
    if (error_number != 0)
      return failure(taken + (sent == 0 ? 0 : batch_.messages()[sent - 1].taken), error_number);
    taken += batch_.taken();
    keep_pace(batch_.taken());
  }
  // Over loopback, and often over a near network, the answer that nobody listens is here by now.
  if (socket_.is_open()) {
    if (const int error_number = socket_.take_error(); error_number != 0) return failure(taken, error_number);
  }
  return Answer::delivered(taken);
}

Result<void> IpfixDatagramSink::reopen() {
  socket_.close();
  return {};
}

Result<void> IpfixDatagramSink::flush() {
  if (!socket_.is_open()) return {};
  batch_.set_longest(longest());
  batch_.fill_due({to_ms(clock_.now()), clock_.steady()});
  std::size_t sent = 0;
  if (const int error_number = send_messages(sent); error_number != 0)
    return system_error("send to " + endpoint_.to_string(), error_number);
  return {};
}

// Another socket is another transport session: RFC 7011, 10.3.2.
std::optional<Answer> IpfixDatagramSink::connect() {
  const auto addresses = resolve(endpoint_, SOCK_DGRAM);
  if (!addresses) return Answer::retry_later(0, addresses.error().message);
  int error_number = 0;
  for (const SocketAddress& address : *addresses) {
    error_number = socket_.connect_udp(address);
    if (error_number != 0) continue;
    socket_.forbid_fragments();
    narrowest_ = IpfixBatch::kLongest;
    batch_.begin_session();
    return std::nullopt;
  }
  return Answer::retry_later(0, system_error("connect to " + endpoint_.to_string(), error_number).message);
}

std::size_t IpfixDatagramSink::longest() const {
  const std::size_t longest = std::min(socket_.longest_datagram(settings_.mtu), narrowest_);
  return std::max(longest, IpfixBatch::kShortest);
}

// What batch_ holds. Returns errno, or 0.
int IpfixDatagramSink::send_messages(std::size_t& sent) {
  messages_.clear();
  for (std::size_t i = 0; i < batch_.messages().size(); ++i) messages_.push_back(batch_.message(i));
  const int error_number = socket_.send(messages_, settings_.timeout, sent);
  batch_.sent(sent);
  return error_number;
}

// Waits until what has gone out may have. Time that was not used is not made up for.
void IpfixDatagramSink::keep_pace(std::size_t records) {
  due_ = std::max(due_, std::chrono::steady_clock::now()) +
         std::chrono::nanoseconds(std::chrono::seconds(1)) * records / settings_.rate;
  std::this_thread::sleep_until(due_);
}

// Of what went out nothing is certain once the port is known to be closed, so the whole batch comes again.
Answer IpfixDatagramSink::failure(std::size_t taken, int error_number) {
  const std::string place = "send to " + endpoint_.to_string();
  if (error_number == EAGAIN) return Answer::retry_later(taken, place + ": its queue is full");
  if (error_number != EMSGSIZE) socket_.close();
  return Answer::retry_later(0, system_error(place, error_number).message);
}

Result<std::unique_ptr<Sink>> IpfixStreamSink::open(std::string name, HostPort endpoint,
                                                    const IpfixSinkSettings& settings,
                                                    std::optional<TlsSettings> tls, const Clock& clock) {
  std::unique_ptr<IpfixStreamSink> sink(
      new IpfixStreamSink(std::move(name), std::move(endpoint), settings, std::move(tls), clock));
  if (auto loaded = sink->stream_.load_tls(); !loaded) return loaded.error();
  return std::unique_ptr<Sink>(std::move(sink));
}

IpfixStreamSink::IpfixStreamSink(std::string name, HostPort endpoint, const IpfixSinkSettings& settings,
                                 std::optional<TlsSettings> tls, const Clock& clock)
    : name_(std::move(name)),
      clock_(clock),
      batch_(settings.records, std::nullopt),
      stream_(std::move(endpoint), settings.timeout, std::move(tls),
              [this](std::deque<std::string>& again) { return greet(again); }) {
  batch_.set_longest(kStreamMessage);
}

Answer IpfixStreamSink::deliver(std::span<const SessionRecord> records) {
  stream_.look();
  std::size_t taken = 0;
  while (taken < records.size()) {
    // First a connection: what is made next has its templates and numbers.
    auto failed = stream_.catch_up();
    if (!failed) {
      batch_.fill(records.subspan(taken), stream_.window_bytes(), {to_ms(clock_.now()), clock_.steady()});
      if (!batch_.text().empty()) failed = stream_.send(batch_.text());
      batch_.sent(failed ? 0 : batch_.messages().size());
    }
    if (failed) {
      failed->taken = taken;
      return *failed;
    }
    taken += batch_.taken();
  }
  return Answer::delivered(taken);
}

// Another connection is another transport session: it counts from 0, and knows no template.
std::string IpfixStreamSink::greet(std::deque<std::string>& again) {
  if (again.empty()) {
    batch_.begin_session();
    return {};
  }
  const UnixMs now = to_ms(clock_.now());
  const std::uint32_t first = ipfix_sequence(again.front());
  for (std::string& part : again) restamp_ipfix(part, first, now);
  return batch_.begin_session_again(first, now);
}

}  // namespace natsession
