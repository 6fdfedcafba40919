#include "sink/tls_settings.h"

#include <array>
#include <cerrno>

#include <unistd.h>

#include "sink/option_value.h"

namespace natsession {
namespace {

constexpr std::array kTable{
    SinkOption{"ca", "FILE", "trust the certificates in FILE (PEM) instead of the system's"},
    SinkOption{"cert", "FILE", "show the client certificate in FILE (PEM), with its chain"},
    SinkOption{"key", "FILE", "the certificate's key, without a passphrase; default: in the file of cert"},
    SinkOption{"verify", "on|off",
               "off accepts any server, so anybody may read and drop the log; default on"},
};
constexpr std::array<std::string_view, 2> kSwitch{"off", "on"};

}  // namespace

std::span<const SinkOption> tls_option_table() {
  return kTable;
}

Result<TlsSettings> TlsSettings::parse(const SinkUrl& url) {
  TlsSettings settings;
  for (const SinkUrl::Option& option : url.options) {
    std::string* file = nullptr;
    if (option.key == "ca") file = &settings.ca_file;
    if (option.key == "cert") file = &settings.cert_file;
    if (option.key == "key") file = &settings.key_file;
    if (option.key == "servername") file = &settings.server_name;
    if (file != nullptr) {
      auto text = option_text(url, option, option.key == "servername" ? "a name" : "a file");
      if (!text) return text.error();
      *file = std::move(*text);
    } else if (option.key == "verify") {
      const auto on = option_word(url, option, kSwitch);
      if (!on) return on.error();
      settings.verify = *on == 1;
    }
  }
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
    if (!file->empty() && ::access(file->c_str(), R_OK) != 0) {
      return system_error("open " + *file, errno, ErrorKind::kUsage);
    }
  }
  return {};
}

}  // namespace natsession
