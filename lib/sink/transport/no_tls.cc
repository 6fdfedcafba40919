// In place of tls_session.cc where OpenSSL was not there at build time. No session is ever made.
#include "sink/transport/tls_session.h"

namespace natsession {

const bool TlsContext::kBuiltIn = false;

Result<TlsContext> TlsContext::create(const TlsSettings&) {
  return Error{ErrorKind::kUnavailable, "this program was built without TLS"};
}

TlsSession::TlsSession(const TlsContext&, const std::string& host) : host_(host) {}
void TlsSession::put(std::string_view) {}
std::string TlsSession::take() {
  return {};
}
TlsSession::State TlsSession::handshake() {
  return State::kFailed;
}
bool TlsSession::write(std::string_view) {
  return false;
}
TlsSession::State TlsSession::read() {
  return State::kFailed;
}
void TlsSession::close() {}

}  // namespace natsession
