// A TLS server on the loopback interface, with a thread: it accepts one connection after the other and keeps
// what it reads.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/guarded.h"
#include "sink/certificates.h"
#include "sink/loopback.h"

namespace natsession::testing {

struct TlsPeerSettings {
  std::string certificate = "server";
  bool wants_client_certificate = false;
  int highest_version = TLS1_3_VERSION;
  std::size_t reads = SIZE_MAX;  // bytes, of each connection; then it is closed
  std::string answer = {};       // to what is read first
  // Of the first connection so much is read, then no more until it ends; of each later one twice as much.
  std::size_t pauses_after = SIZE_MAX;
  int receive_buffer = 0;
};

class TlsPeer {
 public:
  explicit TlsPeer(const TlsPeerSettings& settings = {})
      : settings_(settings), context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
    const Certificates& files = Certificates::get();
    SSL_CTX* const context = context_.get();
    SSL_CTX_use_certificate_chain_file(context, files.crt(settings.certificate).c_str());
    SSL_CTX_use_PrivateKey_file(context, files.key(settings.certificate).c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_set_max_proto_version(context, settings.highest_version);
    if (settings.highest_version < TLS1_2_VERSION) {
      SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
      SSL_CTX_set_cipher_list(context, "DEFAULT@SECLEVEL=0");
    }
    if (settings.wants_client_certificate) {
      SSL_CTX_load_verify_locations(context, files.crt("ca").c_str(), nullptr);
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~TlsPeer() {
    stopping_ = true;
    ::shutdown(listener_.fd(), SHUT_RDWR);
    const int under_way = connection_.load();
    if (under_way >= 0) ::shutdown(under_way, SHUT_RDWR);
    thread_.join();
  }

  [[nodiscard]] std::string port() const { return listener_.place().substr(listener_.place().find(':') + 1); }
  // What was read so far, of all connections.
  [[nodiscard]] std::string got() const {
    std::string all;
    for (const std::string& part : connections()) all += part;
    return all;
  }
  // Likewise, of each.
  [[nodiscard]] std::vector<std::string> connections() const {
    return got_.with([](const std::vector<std::string>& got) { return got; });
  }
  // How many connections have ended with a goodbye.
  [[nodiscard]] int goodbyes() const { return goodbyes_; }
  [[nodiscard]] std::string version() const {
    return version_.with([](const std::string& text) { return text; });
  }

 private:
  void serve() {
    while (!stopping_) {
      UniqueFd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      connection_ = fd.get();
      const std::unique_ptr<SSL, decltype(&SSL_free)> session(SSL_new(context_.get()), SSL_free);
      SSL_set_fd(session.get(), fd.get());
      if (SSL_accept(session.get()) == 1) {
        read(session.get());
      } else {
        // So that the alert is read, and not lost to the reset that unread data would cause.
        ::shutdown(fd.get(), SHUT_WR);
        static_cast<void>(read_to_end(fd.get()));
      }
      ERR_clear_error();
      connection_ = -1;
    }
  }
  void read(SSL* session) {
    version_.with([&](std::string& text) { text = SSL_get_version(session); });
    got_.with([](auto& got) { got.emplace_back(); });
    std::array<char, 4096> part;
    std::size_t all = 0;
    int count = 0;
    while (all < settings_.reads && (count = SSL_read(session, part.data(), part.size())) > 0) {
      all += static_cast<std::size_t>(count);
      got_.with([&](auto& got) { got.back().append(part.data(), static_cast<std::size_t>(count)); });
      if (all >= pauses_after_) {
        pollfd wait{.fd = SSL_get_fd(session), .events = POLLRDHUP, .revents = 0};
        ::poll(&wait, 1, 500);
      }
      if (!settings_.answer.empty()) {
        SSL_write(session, settings_.answer.data(), static_cast<int>(settings_.answer.size()));
      }
    }
    if (SSL_get_error(session, count) == SSL_ERROR_ZERO_RETURN) ++goodbyes_;
    SSL_shutdown(session);
    if (pauses_after_ < SIZE_MAX / 2) pauses_after_ *= 2;
  }

  const TlsPeerSettings settings_;
  const std::shared_ptr<SSL_CTX> context_;
  const Listener listener_{settings_.receive_buffer};
  std::size_t pauses_after_ = settings_.pauses_after;
  Guarded<std::vector<std::string>> got_;
  Guarded<std::string> version_;
  std::atomic<int> goodbyes_{0};
  std::atomic<int> connection_{-1};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace natsession::testing
