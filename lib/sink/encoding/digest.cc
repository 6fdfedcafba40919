#include "sink/encoding/digest.h"

#include <array>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace natsession {
namespace {

const EVP_MD* evp_of(Hash hash) {
  switch (hash) {
    case Hash::kMd5:
      return EVP_md5();
    case Hash::kSha1:
      return EVP_sha1();
    case Hash::kSha256:
      return EVP_sha256();
  }
  return nullptr;  // not reached: the enum has no other value
}

using DigestBytes = std::array<unsigned char, EVP_MAX_MD_SIZE>;

std::string as_text(const DigestBytes& bytes, unsigned length) {
  return {reinterpret_cast<const char*>(bytes.data()), length};
}

}  // namespace

const bool kDigestsBuiltIn = true;

std::string digest_of(Hash hash, std::string_view text) {
  DigestBytes bytes;
  unsigned length = 0;
  if (EVP_Digest(text.data(), text.size(), bytes.data(), &length, evp_of(hash), nullptr) != 1) return {};
  return as_text(bytes, length);
}

std::string hmac_of(Hash hash, std::string_view key, std::string_view text) {
  DigestBytes bytes;
  unsigned length = 0;
  if (HMAC(evp_of(hash), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes.data(),
           &length) == nullptr)
    return {};
  return as_text(bytes, length);
}

}  // namespace natsession
