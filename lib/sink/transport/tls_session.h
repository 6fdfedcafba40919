// TLS for a connection that somebody else moves the bytes of: TlsContext is what all sessions of a sink
// share, TlsSession is one connection's. No I/O but the reading of the settings' files. TLS 1.2 at least; the
// certificate and the host's name in it are verified unless the settings say otherwise (RFC 5425, RFC 6125).
// Threads: one at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sink/transport/tls_settings.h"

struct ssl_ctx_st;
struct ssl_st;

namespace natsession {

class TlsContext {
 public:
  static const bool kBuiltIn;  // this program has TLS; else no_tls.cc stands in for tls_session.cc
  // Errors: kUsage, kPermission or kUnavailable, naming the file and what is wrong with it.
  [[nodiscard]] static Result<TlsContext> create(const TlsSettings& settings);

 private:
  friend class TlsSession;
  std::shared_ptr<ssl_ctx_st> context_;
  TlsSettings settings_;
};

class TlsSession {
 public:
  enum class State {
    kReady,   // handshake(): it is done; read(): nothing more has arrived
    kWaits,   // handshake(): the peer is to answer
    kClosed,  // the peer has ended the session
    kFailed,  // see problem()
  };
  struct Problem {
    // One side does not accept the other's certificate or terms, and will not until somebody changes them;
    // else what came is no TLS, or was cut.
    bool refused = false;
    std::string text;
  };

  TlsSession(const TlsContext& context, const std::string& host);
  TlsSession(const TlsSession&) = delete;  // OpenSSL has its address
  TlsSession& operator=(const TlsSession&) = delete;

  void put(std::string_view arrived);                // what came from the peer
  [[nodiscard]] std::string take();                  // what is to be sent to it
  State handshake();                                 // a step of it
  [[nodiscard]] bool write(std::string_view plain);  // after the handshake
  State read();                                      // drops what the peer says
  void close();                                      // says goodbye
  [[nodiscard]] const Problem& problem() const { return problem_; }
  // The peer asked for a client certificate with TLS 1.3, so its verdict is still to come.
  [[nodiscard]] bool verdict_to_come() const { return verdict_to_come_; }

 private:
  State fail(std::string_view operation, int result);

  std::shared_ptr<ssl_st> session_;
  std::string host_;
  Problem problem_;
  bool verdict_to_come_ = false;
};

}  // namespace natsession
