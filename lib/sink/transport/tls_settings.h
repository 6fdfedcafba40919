// TlsSettings: whom a TLS connection trusts, and as whom it shows itself.
// Threads: a plain value type; the functions keep no state.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "sink/sink_kind.h"
#include "sink/sink_url.h"

namespace natsession {

struct TlsSettings {
  std::string ca_file;      // empty: the certificates that the system trusts
  std::string cert_file;    // with its chain; empty: no client certificate
  std::string key_file;     // empty: it is in cert_file
  std::string server_name;  // in the certificate; empty: the host of the URL
  bool verify = true;

  // Reads tls_options().
  // Errors: kUsage, naming URL, key and value.
  [[nodiscard]] static Result<TlsSettings> parse(const SinkUrl& url);

  // Whether the files can be read, and nobody else may write them.
  // Errors: kUsage or kPermission, naming the file and the cause.
  [[nodiscard]] Result<void> probe() const;
  // The file of the client's key.
  [[nodiscard]] std::vector<std::string> secret_files() const {
    if (cert_file.empty()) return {};
    return {key_file.empty() ? cert_file : key_file};
  }
};

// ca, cert, key, verify.
[[nodiscard]] std::span<const Option<TlsSettings>> tls_options();

}  // namespace natsession
