#include "sink/transport/tls_settings.h"

#include <sys/stat.h>

#include <cerrno>

#include <unistd.h>

#include "base/files.h"

namespace natsession {

std::span<const Option<TlsSettings>> tls_options() {
  static const Option<TlsSettings> kTable[] = {
      {"ca", "FILE", "trust the certificates in FILE (PEM) instead of the system's",
       text_option(&TlsSettings::ca_file, "a file")},
      {"cert", "FILE", "show the client certificate in FILE (PEM), with its chain",
       text_option(&TlsSettings::cert_file, "a file")},
      {"key", "FILE", "the certificate's key, without a passphrase; default: in the file of cert",
       text_option(&TlsSettings::key_file, "a file")},
      {"verify", "on|off", "off accepts any server, so anybody may read and drop the log",
       choice_option(&TlsSettings::verify, Names<bool>{{"off", false}, {"on", true}})},
  };
  return kTable;
}

Result<TlsSettings> TlsSettings::parse(const SinkUrl& url) {
  TlsSettings settings;
  if (auto read = read_options(url, tls_options(), settings); !read) return read.error();
  if (!settings.key_file.empty() && settings.cert_file.empty()) {
    return url.wrong("key: is of no use without its certificate: give cert too");
  }
  if (!settings.verify && !settings.ca_file.empty()) {
    return url.wrong("verify: off and ca= contradict each other");
  }
  return settings;
}

Result<void> TlsSettings::probe() const {
  for (const std::string* const file : {&ca_file, &cert_file, &key_file}) {
    if (file->empty()) continue;
    struct stat status {};
    if (::access(file->c_str(), R_OK) != 0 || ::stat(file->c_str(), &status) != 0)
      return system_error("open " + *file, errno, ErrorKind::kUsage);
    if (auto trusted = check_writers(*file, status); !trusted) return trusted.error();
  }
  return {};
}

}  // namespace natsession
