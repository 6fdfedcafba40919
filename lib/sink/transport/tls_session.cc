#include "sink/transport/tls_session.h"

#include <algorithm>
#include <array>
#include <climits>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/ip_address.h"

namespace natsession {
namespace {

constexpr int kAlertBase =
    SSL_AD_REASON_OFFSET;  // OpenSSL's reason for a received alert is this and its number

// The oldest error in this thread's queue, which is the cause; the queue is empty afterwards.
std::string take_errors() {
  const unsigned long first = ERR_get_error();
  std::array<char, 256> text{};
  if (first != 0) {
    const char* const reason = ERR_reason_error_string(first);
    if (reason != nullptr) {
      ERR_clear_error();
      return reason;
    }
    ERR_error_string_n(first, text.data(), text.size());
  }
  ERR_clear_error();
  return text[0] != '\0' ? text.data() : "unknown error";
}

// A key with a passphrase is an error, not a question on the terminal.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

bool is_address(const std::string& host) {
  return IpAddress::parse(host).has_value();
}

// Whether the alert that the peer sent is about our certificate, or a parameter that only settings can mend.
bool is_refusal(int reason) {
  static constexpr std::array kRefusals{SSL_AD_HANDSHAKE_FAILURE,
                                        SSL_AD_BAD_CERTIFICATE,
                                        SSL_AD_UNSUPPORTED_CERTIFICATE,
                                        SSL_AD_CERTIFICATE_REVOKED,
                                        SSL_AD_CERTIFICATE_EXPIRED,
                                        SSL_AD_CERTIFICATE_UNKNOWN,
                                        SSL_AD_UNKNOWN_CA,
                                        SSL_AD_ACCESS_DENIED,
                                        SSL_AD_PROTOCOL_VERSION,
                                        SSL_AD_INSUFFICIENT_SECURITY,
                                        SSL_AD_UNRECOGNIZED_NAME,
                                        SSL_AD_CERTIFICATE_REQUIRED};
  return std::find(kRefusals.begin(), kRefusals.end(), reason - kAlertBase) != kRefusals.end();
}

Error file_error(const std::string& file) {
  return {ErrorKind::kUsage, "read " + file + ": " + take_errors()};
}

}  // namespace

const bool TlsContext::kBuiltIn = true;

Result<TlsContext> TlsContext::create(const TlsSettings& settings) {
  if (auto readable = settings.probe(); !readable) return readable.error();
  ERR_clear_error();
  TlsContext made;
  made.settings_ = settings;
  made.context_.reset(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX* const context = made.context_.get();
  if (context == nullptr) return Error{ErrorKind::kUnavailable, "TLS: " + take_errors()};
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!settings.ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(context, settings.ca_file.c_str(), nullptr) != 1) {
      return file_error(settings.ca_file);
    }
  } else if (settings.verify && SSL_CTX_set_default_verify_paths(context) != 1) {
    return Error{ErrorKind::kUnavailable, "the system's trusted certificates: " + take_errors()};
  }
  if (settings.cert_file.empty()) return made;
  const std::string& key = settings.key_file.empty() ? settings.cert_file : settings.key_file;
  if (SSL_CTX_use_certificate_chain_file(context, settings.cert_file.c_str()) != 1) {
    return file_error(settings.cert_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return Error{ErrorKind::kUsage,
                 "read " + key + " as the key of " + settings.cert_file + ": " + take_errors()};
  }
  return made;
}

TlsSession::TlsSession(const TlsContext& context, const std::string& host)
    : session_(SSL_new(context.context_.get()), SSL_free),
      host_(context.settings_.server_name.empty() ? host : context.settings_.server_name) {
  SSL* const session = session_.get();
  if (session == nullptr) return;  // handshake() says so
  SSL_set_bio(session, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(session);
  if (is_address(host_)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host_.c_str());
  } else {
    SSL_set1_host(session, host_.c_str());
    // Not the macro, which casts in the old style.
    SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host_.data());
  }
  // Called when the peer asks for a certificate, whether there is one or not.
  const auto asked = [](SSL* one, void* flag) {
    *static_cast<bool*>(flag) = SSL_version(one) >= TLS1_3_VERSION;
    return 1;
  };
  SSL_set_cert_cb(session, asked, &verdict_to_come_);
}

void TlsSession::put(std::string_view arrived) {
  while (!arrived.empty()) {
    const int size = static_cast<int>(std::min<std::size_t>(arrived.size(), INT_MAX));
    const int taken = BIO_write(SSL_get_rbio(session_.get()), arrived.data(), size);
    if (taken <= 0) return;  // out of memory: the session then fails for want of what is missing
    arrived.remove_prefix(static_cast<std::size_t>(taken));
  }
}

std::string TlsSession::take() {
  BIO* const bio = SSL_get_wbio(session_.get());
  std::string bytes(BIO_ctrl_pending(bio), '\0');
  if (bytes.empty()) return bytes;
  const int count = BIO_read(bio, bytes.data(), static_cast<int>(bytes.size()));
  bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return bytes;
}

TlsSession::State TlsSession::handshake() {
  if (session_ == nullptr) {
    problem_ = {false, "TLS: " + take_errors()};
    return State::kFailed;
  }
  ERR_clear_error();
  const int result = SSL_do_handshake(session_.get());
  return result == 1 ? State::kReady : fail("handshake", result);
}

bool TlsSession::write(std::string_view plain) {
  ERR_clear_error();
  std::size_t written = 0;
  const int result = SSL_write_ex(session_.get(), plain.data(), plain.size(), &written);
  if (result == 1) return true;
  static_cast<void>(fail("write", result));
  return false;
}

TlsSession::State TlsSession::read() {
  std::array<char, 4096> dropped;
  while (true) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_read_ex(session_.get(), dropped.data(), dropped.size(), &count);
    if (result == 1) continue;
    const State state = fail("read", result);
    return state == State::kWaits ? State::kReady : state;
  }
}

void TlsSession::close() {
  ERR_clear_error();
  SSL_shutdown(session_.get());
  ERR_clear_error();
}

TlsSession::State TlsSession::fail(std::string_view operation, int result) {
  SSL* const session = session_.get();
  switch (SSL_get_error(session, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return State::kWaits;
    case SSL_ERROR_ZERO_RETURN:
      return State::kClosed;
    default:
      break;
  }
  const int reason = ERR_GET_REASON(ERR_peek_error());
  const long verdict = SSL_get_verify_result(session);
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK) {
    problem_ = {
        true, "the certificate of " + host_ + " is not accepted: " + X509_verify_cert_error_string(verdict)};
  } else if (is_refusal(reason)) {
    problem_ = {true, "the peer refuses this client: " + take_errors()};
  } else {
    problem_ = {false, "TLS " + std::string(operation) + ": " + take_errors()};
  }
  ERR_clear_error();
  return State::kFailed;
}

}  // namespace natsession
