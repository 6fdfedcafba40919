// In place of digest.cc where OpenSSL was not there at build time. Nothing is ever signed.
#include "sink/encoding/digest.h"

namespace natsession {

const bool kDigestsBuiltIn = false;

std::string digest_of(Hash, std::string_view) {
  return {};
}
std::string hmac_of(Hash, std::string_view, std::string_view) {
  return {};
}

}  // namespace natsession
