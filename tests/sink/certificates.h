// Certificates for tests, made by the openssl command: an authority "ca", "server" for localhost and
// 127.0.0.1, "other-name", "expired", a "client" of the same authority, and "stranger", which signed itself.
// Each is NAME.crt and NAME.key in a folder.
#pragma once

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "support/temp_dir.h"

namespace natsession::testing {

class Certificates {
 public:
  [[nodiscard]] std::string crt(const std::string& name) const { return directory_.file(name + ".crt"); }
  [[nodiscard]] std::string key(const std::string& name) const { return directory_.file(name + ".key"); }

  // Made once for all tests, in half a second.
  static const Certificates& get() {
    static const Certificates certificates;
    return certificates;
  }

 private:
  Certificates() {
    const std::string script = R"(set -e
new() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
root() { new "$1"; openssl req -x509 -new -key "$1.key" -out "$1.crt" -days 2 -subj "/CN=$1" \
  -addext basicConstraints=critical,CA:TRUE; }
# leaf NAME FROM-DAY EXTENSION
leaf() {
  new "$1"; openssl req -new -key "$1.key" -out "$1.csr" -subj "/CN=$1"; printf '%s\n' "$2" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days "$3" -extfile "$1.ext"
}
root ca
root stranger
leaf server 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2
leaf other-name 'subjectAltName=DNS:elsewhere.example' 2
leaf expired 'subjectAltName=DNS:localhost,IP:127.0.0.1' -1
leaf client 'extendedKeyUsage=clientAuth' 2
openssl ec -in client.key -aes256 -passout pass:secret -out locked.key
)";
    const std::string command =
        "cd '" + directory_.path().string() + "' && { " + script + "} >log 2>&1 </dev/null";
    if (std::system(command.c_str()) != 0)
      throw std::runtime_error("openssl failed: see the packages of --tests");
  }

  TempDir directory_;
};

}  // namespace natsession::testing
