// Digests and the signatures made with them, by OpenSSL; and the texts that they are shown as.
// Threads: any; pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace natsession {

enum class Hash { kMd5, kSha1, kSha256 };

extern const bool kDigestsBuiltIn;  // this program knows OpenSSL; else no_digest.cc stands in for digest.cc

// The digest's own bytes. Empty: it cannot be had, as MD5 where a policy (FIPS) forbids it.
[[nodiscard]] std::string digest_of(Hash hash, std::string_view text);
// RFC 2104. Likewise.
[[nodiscard]] std::string hmac_of(Hash hash, std::string_view key, std::string_view text);

// Hexadecimal digits, in lower case unless `upper`.
[[nodiscard]] std::string hex_of(std::string_view bytes, bool upper = false);
// RFC 4648, 4, with padding.
[[nodiscard]] std::string base64_of(std::string_view bytes);

}  // namespace natsession
