#include "access/password.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include <crypt.h>

namespace natsession::console {
namespace {

constexpr const char* kMethod = "$y$";
// Of no password that anybody has: what is asked of an unknown user is hashed as well.
constexpr const char* kNobody = "$y$j9T$4Mq0BVvb5lBCE3TqmyVmV0$";

// Empty if the library refuses it.
std::string hashed(const std::string& password, const char* setting) {
  const auto data = std::make_unique<crypt_data>();
  const char* const hash =
      ::crypt_rn(password.c_str(), setting, data.get(), static_cast<int>(sizeof(crypt_data)));
  return hash == nullptr || *hash == '*' ? std::string() : std::string(hash);
}

// In a time that depends on their length alone.
bool equal(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  unsigned different = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    different |= static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
  return different == 0;
}

}  // namespace

Result<std::string> hash_password(const std::string& password) {
  if (password.empty()) return usage_error("the password is empty");
  if (password.size() >= CRYPT_MAX_PASSPHRASE_SIZE)
    return usage_error("the password is longer than " + std::to_string(CRYPT_MAX_PASSPHRASE_SIZE - 1) +
                       " bytes");
  std::string setting(CRYPT_GENSALT_OUTPUT_SIZE, '\0');
  if (::crypt_gensalt_rn(kMethod, 0, nullptr, 0, setting.data(), static_cast<int>(setting.size())) == nullptr)
    return system_error("crypt_gensalt", errno);
  std::string hash = hashed(password, setting.c_str());
  if (hash.empty()) return system_error("crypt", errno);
  return hash;
}

bool password_matches(const std::string& password, const std::string& hash) {
  if (password.empty() || password.find('\0') != std::string::npos) return false;
  const std::string own = hashed(password, hash.empty() ? kNobody : hash.c_str());
  return !hash.empty() && !own.empty() && equal(own, hash);
}

}  // namespace natsession::console
