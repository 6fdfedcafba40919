#include "sink/syslog_stream_sink.h"

#include <algorithm>

namespace natsession {
namespace {

// What is under way at once. More keeps a far receiver busy; less lets a slow one get on within its time.
constexpr std::size_t kLargestWindow = 1 << 20;
constexpr std::size_t kSmallestWindow = 4 << 10;
// What a receiver's kernel may hold unread, as far as this sink remembers it, and in what parts.
constexpr std::size_t kRecentBytes = 1 << 20;
constexpr std::size_t kRecentPart = 64 << 10;

constexpr std::uint16_t kTcpPort = 514;   // what most receivers listen on; IANA's 601 is for RFC 3195
constexpr std::uint16_t kTlsPort = 6514;  // RFC 5425

std::span<const Option<TlsSettings>> server_name_options() {
  static const Option<TlsSettings> kTable[] = {
      {"servername", "NAME", "the name that must stand in the server's certificate; default HOST",
       text_option(&TlsSettings::server_name, "a name")},
  };
  return kTable;
}

Result<SinkOpener> parse_stream(const SinkUrl& url, std::uint16_t usual_port,
                                const std::optional<TlsSettings>& tls) {
  const auto endpoint = endpoint_of(url, usual_port);
  if (!endpoint) return endpoint.error();
  const auto settings = SyslogSettings::parse(url, SyslogFraming::kOctets);
  if (!settings) return settings.error();
  const auto probe = [tls]() -> Result<void> {
    if (!tls) return {};
    const auto context = TlsContext::create(*tls);
    if (!context) return context.error();
    return {};
  };
  const auto reach = [endpoint = *endpoint, settings = *settings, tls]() -> Result<Reached> {
    StreamTarget target{.endpoint = endpoint, .tls = {}, .timeout = std::min(settings.timeout, kReachLimit)};
    if (tls) {
      auto context = TlsContext::create(*tls);
      if (!context) return context.error();
      target.tls = std::move(*context);
    }
    std::unique_ptr<StreamConnection> connection;
    if (const auto failed = StreamConnection::open(target, connection))
      return Error{ErrorKind::kUnavailable, failed->why};
    return Reached{tls ? "connected, by TLS" : "connected"};
  };
  const auto open = [name = url.name(), endpoint = *endpoint, settings = *settings, tls](
                        const EncoderOptions& options, const Clock&) {
    return SyslogStreamSink::open(name, endpoint, settings.with(options), tls);
  };
  SinkOpener opener{.probe = probe, .reach = reach, .open = open};
  if (tls) opener.secret_files = tls->secret_files();
  return opener;
}

Result<SinkOpener> parse_tcp(const SinkUrl& url) {
  return parse_stream(url, kTcpPort, std::nullopt);
}

Result<SinkOpener> parse_tls(const SinkUrl& url) {
  auto tls = TlsSettings::parse(url);
  if (!tls) return tls.error();
  if (auto read = read_options(url, server_name_options(), *tls); !read) return read.error();
  return parse_stream(url, kTlsPort, *tls);
}

std::vector<SinkOption> both(std::vector<SinkOption> first, const std::vector<SinkOption>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace

SinkKind syslog_tcp_kind() {
  return {.scheme = "syslog+tcp",
          .usage = "syslog+tcp://HOST[:514]",
          .help = "the same by TCP; options as syslog, and:",
          .options = explain(syslog_framing_options()),
          .also = explain(syslog_options()),
          .remote = true,
          .encoding = SinkEncoding::kMessage,
          .parse = parse_tcp};
}

SinkKind syslog_tls_kind() {
  return {.scheme = "syslog+tls",
          .usage = "syslog+tls://HOST[:6514]",
          .help = "the same by TLS (RFC 5425); options as syslog+tcp, and:",
          .options = both(explain(tls_options()), explain(server_name_options())),
          .also = both(explain(syslog_options()), explain(syslog_framing_options())),
          .remote = true,
          .encoding = SinkEncoding::kMessage,
          .missing = TlsContext::kBuiltIn ? "" : "OpenSSL (NATSESSION_SINK_TLS)",
          .parse = parse_tls};
}

Result<std::unique_ptr<Sink>> SyslogStreamSink::open(std::string name, HostPort endpoint,
                                                     const SyslogSettings& settings,
                                                     std::optional<TlsSettings> tls) {
  std::unique_ptr<SyslogStreamSink> sink(
      new SyslogStreamSink(std::move(name), std::move(endpoint), settings, std::move(tls)));
  if (auto loaded = sink->load_tls(); !loaded) return loaded.error();
  return std::unique_ptr<Sink>(std::move(sink));
}

SyslogStreamSink::SyslogStreamSink(std::string name, HostPort endpoint, const SyslogSettings& settings,
                                   std::optional<TlsSettings> tls)
    : name_(std::move(name)),
      tls_(std::move(tls)),
      batch_(settings),
      target_{.endpoint = std::move(endpoint), .tls = {}, .timeout = settings.timeout},
      window_bytes_(kLargestWindow) {}

Answer SyslogStreamSink::deliver(std::span<const SessionRecord> records) {
  // A receiver that closed an idle connection is no fault: the next one is as good.
  if (connection_ != nullptr && !connection_->is_open()) leave();
  std::size_t taken = 0;
  while (taken < records.size()) {
    batch_.fill(records.subspan(taken), window_bytes_);
    if (batch_.ends().empty()) return Answer::rejected(taken, batch_.refusal());
    std::optional<Answer> failed = catch_up();
    if (!failed) {
      Answer answer = send(batch_.text());
      if (answer.kind != Answer::Kind::kDelivered) failed = std::move(answer);
    }
    if (failed) {
      failed->taken = taken;
      return *failed;
    }
    remember(batch_.text());
    taken += batch_.ends().size();
  }
  return Answer::delivered(taken);
}

Result<void> SyslogStreamSink::reopen() {
  if (auto loaded = load_tls(); !loaded) return loaded;
  if (connection_ == nullptr) return {};
  if (connection_->is_open()) {
    forget_confirmed();  // it ends in good order, so the receiver will read what it has
    connection_.reset();
  } else {
    leave();
  }
  return {};
}

Result<void> SyslogStreamSink::flush() {
  if (connection_ != nullptr && !connection_->is_open()) leave();
  if (confirmed_ == recent_.size()) return {};
  if (const auto failed = catch_up()) return Error{ErrorKind::kIo, failed->why};
  return {};
}

// Connects if need be, and sends what may have been lost with the connection before.
std::optional<Answer> SyslogStreamSink::catch_up() {
  if (connection_ == nullptr) {
    if (auto failed = StreamConnection::open(target_, connection_)) return failed;
  }
  while (confirmed_ < recent_.size()) {
    Answer answer = send(recent_[confirmed_]);
    if (answer.kind != Answer::Kind::kDelivered) return answer;
    ++confirmed_;
  }
  return std::nullopt;
}

Answer SyslogStreamSink::send(std::string_view text) {
  Answer answer = connection_->send(text);
  if (answer.kind == Answer::Kind::kDelivered) {
    window_bytes_ = std::min(window_bytes_ * 2, kLargestWindow);
  } else {
    window_bytes_ = std::max(window_bytes_ / 2, kSmallestWindow);
    leave();
  }
  return answer;
}

// Called when all that is recent has gone out on the present connection.
void SyslogStreamSink::remember(std::string_view text) {
  // Each part is waited for when it is sent again: few of them, also after many small batches.
  if (!recent_.empty() && recent_.back().size() + text.size() <= kRecentPart) {
    recent_.back() += text;
  } else {
    recent_.emplace_back(text);
  }
  recent_bytes_ += text.size();
  while (recent_bytes_ - recent_.front().size() >= kRecentBytes) {
    recent_bytes_ -= recent_.front().size();
    recent_.pop_front();
  }
  confirmed_ = recent_.size();
}

void SyslogStreamSink::forget_confirmed() {
  for (; confirmed_ > 0; --confirmed_) {
    recent_bytes_ -= recent_.front().size();
    recent_.pop_front();
  }
}

// The connection is of no more use.
void SyslogStreamSink::leave() {
  if (connection_->ended_well()) forget_confirmed();
  confirmed_ = 0;
  connection_.reset();
}

Result<void> SyslogStreamSink::load_tls() {
  if (!tls_) return {};
  auto context = TlsContext::create(*tls_);
  if (!context) return context.error();
  target_.tls = std::move(*context);
  return {};
}

}  // namespace natsession
