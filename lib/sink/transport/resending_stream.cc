#include "sink/transport/resending_stream.h"

#include <algorithm>

namespace natsession {
namespace {

constexpr std::size_t kLargestWindow = 1 << 20;
constexpr std::size_t kSmallestWindow = 4 << 10;
// What a peer's kernel may hold unread, as far as this remembers it, and in what parts.
constexpr std::size_t kRecentBytes = 1 << 20;
constexpr std::size_t kRecentPart = 64 << 10;

std::span<const Option<TlsSettings>> server_name_options() {
  static const Option<TlsSettings> kTable[] = {
      {"servername", "NAME", "the name that must stand in the server's certificate; default HOST",
       text_option(&TlsSettings::server_name, "a name")},
  };
  return kTable;
}

}  // namespace

ResendingStream::ResendingStream(HostPort endpoint, std::chrono::milliseconds timeout,
                                 std::optional<TlsSettings> tls, Greet greet)
    : tls_(std::move(tls)),
      greet_(std::move(greet)),
      target_{.endpoint = std::move(endpoint), .tls = {}, .timeout = timeout},
      window_bytes_(kLargestWindow) {}

Result<void> ResendingStream::load_tls() {
  if (!tls_) return {};
  auto context = TlsContext::create(*tls_);
  if (!context) return context.error();
  target_.tls = std::move(*context);
  return {};
}

void ResendingStream::look() {
  if (connection_ != nullptr && !connection_->is_open()) leave();
}

std::optional<Answer> ResendingStream::catch_up() {
  if (connection_ == nullptr) {
    if (auto failed = StreamConnection::open(target_, connection_)) return failed;
    const std::string greeting = greet_ ? greet_(recent_) : std::string();
    if (!greeting.empty()) {
      if (Answer answer = push(greeting); answer.kind != Answer::Kind::kDelivered) return answer;
    }
  }
  while (confirmed_ < recent_.size()) {
    if (Answer answer = push(recent_[confirmed_]); answer.kind != Answer::Kind::kDelivered) return answer;
    ++confirmed_;
  }
  return std::nullopt;
}

std::optional<Answer> ResendingStream::send(std::string_view text) {
  if (auto failed = catch_up()) return failed;
  if (Answer answer = push(text); answer.kind != Answer::Kind::kDelivered) return answer;
  remember(text);
  return std::nullopt;
}

Result<void> ResendingStream::reopen() {
  if (auto loaded = load_tls(); !loaded) return loaded;
  if (connection_ == nullptr) return {};
  if (connection_->is_open()) {
    forget_confirmed();  // it ends in good order, so the peer will read what it has
    connection_.reset();
  } else {
    leave();
  }
  return {};
}

Result<void> ResendingStream::flush() {
  look();
  if (confirmed_ == recent_.size()) return {};
  if (const auto failed = catch_up()) return Error{ErrorKind::kIo, failed->why};
  return {};
}

Answer ResendingStream::push(std::string_view text) {
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
void ResendingStream::remember(std::string_view text) {
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

void ResendingStream::forget_confirmed() {
  for (; confirmed_ > 0; --confirmed_) {
    recent_bytes_ -= recent_.front().size();
    recent_.pop_front();
  }
}

// The connection is of no more use.
void ResendingStream::leave() {
  if (connection_->ended_well()) forget_confirmed();
  confirmed_ = 0;
  connection_.reset();
}

std::vector<SinkOption> stream_tls_options() {
  return joined(explain(tls_options()), explain(server_name_options()));
}

Result<TlsSettings> parse_stream_tls(const SinkUrl& url) {
  auto tls = TlsSettings::parse(url);
  if (!tls) return tls;
  if (auto read = read_options(url, server_name_options(), *tls); !read) return read.error();
  return tls;
}

SinkOpener stream_opener(const HostPort& endpoint, std::chrono::milliseconds timeout,
                         const std::optional<TlsSettings>& tls) {
  SinkOpener opener;
  opener.probe = [tls]() -> Result<void> {
    if (!tls) return {};
    const auto context = TlsContext::create(*tls);
    if (!context) return context.error();
    return {};
  };
  opener.reach = [endpoint, timeout, tls]() -> Result<Reached> {
    StreamTarget target{.endpoint = endpoint, .tls = {}, .timeout = std::min(timeout, kReachLimit)};
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
  if (tls) opener.secret_files = tls->secret_files();
  return opener;
}

}  // namespace natsession
