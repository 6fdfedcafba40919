#include "sink/syslog/syslog_datagram_sink.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace natsession {
namespace {

// Datagrams are handed on at once; more than this is encoded in turns, to stay in the cache.
constexpr std::size_t kTurnBytes = 128 << 10;

constexpr std::uint16_t kUdpPort = 514;  // RFC 5426

Result<SinkOpener> parse_local(const SinkUrl& url) {
  const std::string path = url.target.empty() ? "/dev/log" : url.target;
  if (!path.starts_with('/') || path.starts_with("//")) {
    return url.wrong("'" + path +
                     "' is not the path of a socket: syslog:, which is /dev/log, or syslog:/PATH; another "
                     "machine is syslog+udp://, syslog+tcp:// or syslog+tls://HOST");
  }
  const auto settings = SyslogSettings::parse(url, SyslogFraming::kNone);
  if (!settings) return settings.error();
  return SinkOpener{
      .reach = [path]() -> Result<Reached> {
        if (const int error_number = DatagramSocket().connect_local(path); error_number != 0)
          return system_error("connect to " + path, error_number, ErrorKind::kUnavailable);
        return Reached{"the socket takes connections"};
      },
      .open = [name = url.name(), path, settings = *settings](
                  const EncoderOptions& options, const Clock& clock) -> Result<std::unique_ptr<Sink>> {
        return std::unique_ptr<Sink>(
            std::make_unique<SyslogDatagramSink>(name, path, settings.with(options), clock));
      }};
}

Result<SinkOpener> parse_udp(const SinkUrl& url) {
  const auto endpoint = endpoint_of(url, kUdpPort);
  if (!endpoint) return endpoint.error();
  const auto settings = SyslogSettings::parse(url, SyslogFraming::kNone);
  if (!settings) return settings.error();
  return SinkOpener{
      .reach = [endpoint = *endpoint]() -> Result<Reached> {
        const auto addresses = resolve(endpoint, SOCK_DGRAM);
        if (!addresses) return addresses.error();
        if (const int error_number = DatagramSocket().connect_udp(addresses->front()); error_number != 0)
          return system_error("connect to " + endpoint.to_string(), error_number, ErrorKind::kUnavailable);
        return Reached{"there is a route; UDP does not tell whether anybody listens", /*known=*/false};
      },
      .open = [name = url.name(), endpoint = *endpoint, settings = *settings](
                  const EncoderOptions& options, const Clock& clock) -> Result<std::unique_ptr<Sink>> {
        return std::unique_ptr<Sink>(
            std::make_unique<SyslogDatagramSink>(name, endpoint, settings.with(options), clock));
      }};
}

}  // namespace

SinkKind syslog_kind() {
  return {.scheme = "syslog",
          .usage = "syslog:[PATH]",
          .help =
              "RFC 5424 messages, with every field as structured data, to the local socket PATH; default "
              "/dev/log",
          .options = explain(syslog_options()),
          .remote = true,
          .encoding = SinkEncoding::kMessage,
          .flows = true,
          .own_format = kNatFormat,
          .parse = parse_local};
}

SinkKind syslog_udp_kind() {
  return {.scheme = "syslog+udp",
          .usage = "syslog+udp://HOST[:514]",
          .help = "the same by UDP, which may lose messages without a word; options as syslog",
          .also = explain(syslog_options()),
          .remote = true,
          .encoding = SinkEncoding::kMessage,
          .flows = true,
          .own_format = kNatFormat,
          .parse = parse_udp};
}

SyslogDatagramSink::SyslogDatagramSink(std::string name, std::string path, const SyslogSettings& settings,
                                       const Clock& clock)
    : name_(std::move(name)),
      path_(std::move(path)),
      target_(path_),
      timeout_(settings.timeout),
      clock_(clock),
      batch_(settings) {}

SyslogDatagramSink::SyslogDatagramSink(std::string name, HostPort endpoint, const SyslogSettings& settings,
                                       const Clock& clock)
    : name_(std::move(name)),
      endpoint_(std::move(endpoint)),
      target_(endpoint_->to_string()),
      timeout_(settings.timeout),
      clock_(clock),
      batch_(settings) {}

Answer SyslogDatagramSink::deliver(std::span<const SessionRecord> records) {
  std::size_t taken = 0;
  while (taken < records.size()) {
    batch_.fill(records.subspan(taken), kTurnBytes);
    if (batch_.ends().empty()) return Answer::rejected(taken, batch_.refusal());
    if (!socket_.is_open()) {
      if (auto failed = connect()) {
        failed->taken = taken;
        return *failed;
      }
    }
    messages_.clear();
    for (std::size_t i = 0; i < batch_.ends().size(); ++i) messages_.push_back(batch_.message(i));
    std::size_t sent = 0;
    const int error_number = socket_.send(messages_, timeout_, sent);
    taken += sent;
    if (sent > 0) last_there_ = clock_.steady();
    if (error_number == EMSGSIZE) {
      return Answer::rejected(taken, target_ + ": the message has " + std::to_string(messages_[sent].size()) +
                                         " bytes, which is more than this socket sends in one");
    }
    if (error_number != 0) return failure(taken, error_number);
  }
  // Over loopback, and often over a near network, the answer that nobody listens is here by now.
  if (endpoint_ && socket_.is_open()) {
    if (const int error_number = socket_.take_error(); error_number != 0) return failure(taken, error_number);
  }
  return Answer::delivered(taken);
}

Result<void> SyslogDatagramSink::reopen() {
  socket_.close();
  return {};
}

std::optional<Answer> SyslogDatagramSink::connect() {
  return endpoint_ ? connect_udp() : connect_local();
}

std::optional<Answer> SyslogDatagramSink::connect_local() {
  const int error_number = socket_.connect_local(path_);
  if (error_number == 0) return std::nullopt;
  return local_failure(error_number);
}

std::optional<Answer> SyslogDatagramSink::connect_udp() {
  const auto addresses = resolve(*endpoint_, SOCK_DGRAM);
  if (!addresses) return Answer::retry_later(0, addresses.error().message);
  int error_number = 0;
  for (const SocketAddress& address : *addresses) {
    error_number = socket_.connect_udp(address);
    if (error_number == 0) return std::nullopt;
  }
  return Answer::retry_later(0, system_error("connect to " + target_, error_number).message);
}

Answer SyslogDatagramSink::local_failure(int error_number) const {
  const std::string why = system_error("connect to " + path_, error_number).message;
  switch (error_number) {
    case EACCES:
    case EPERM:
      return Answer::target_failed(0, TargetCode::kUnauthorized, why);
    case ENOENT:
      if (last_there_ && clock_.steady() - *last_there_ < timeout_) break;
      return Answer::target_failed(0, TargetCode::kProjectNotExist, why + ": is a syslog daemon running?");
    case ENOTDIR:
    case ENOTSOCK:
    case ELOOP:
    case ENAMETOOLONG:
      return Answer::target_failed(0, TargetCode::kProjectNotExist, why);
    case EPROTOTYPE:
      return Answer::target_failed(0, TargetCode::kProjectNotExist, why + ": it takes no datagrams");
    default:
      break;
  }
  return Answer::retry_later(0, why);
}

// Of what went out by UDP nothing is certain once the port is known to be closed, so the whole batch comes
// again. A local socket's error is of the one message that was not taken.
Answer SyslogDatagramSink::failure(std::size_t taken, int error_number) {
  const bool full = error_number == EAGAIN;
  if (!full) socket_.close();
  if (endpoint_ && !full) taken = 0;
  if (full) return Answer::retry_later(taken, "send to " + target_ + ": its queue is full");
  if (!endpoint_) {
    Answer answer = local_failure(error_number);
    answer.taken = taken;
    return answer;
  }
  return Answer::retry_later(taken, system_error("send to " + target_, error_number).message);
}

}  // namespace natsession
