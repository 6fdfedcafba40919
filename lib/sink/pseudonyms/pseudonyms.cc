#include "sink/pseudonyms/pseudonyms.h"

#include <algorithm>
#include <cstring>

#include "base/files.h"
#include "sink/encoding/digest.h"

namespace natsession {

Result<std::shared_ptr<const Pseudonyms>> Pseudonyms::open(const std::string& path) {
  if (!kDigestsBuiltIn)
    return Error{ErrorKind::kUnavailable, "pseudonyms: this natsessiond was built without OpenSSL"};
  auto key = read_trusted_file(path, ByteCount{kMostKeyBytes}, ErrorKind::kUnavailable);
  if (!key) return key.error();
  if (key->size() > kMostKeyBytes)
    return usage_error(path + ": a key of pseudonyms has at most " + std::to_string(kMostKeyBytes) +
                       " bytes");
  if (!key->empty() && key->back() == '\n') key->pop_back();
  if (key->size() < kLeastKeyBytes) {
    return usage_error(path + ": a key of " + std::to_string(key->size()) +
                       " bytes can be guessed: at least " + std::to_string(kLeastKeyBytes) +
                       ", as `openssl rand -hex 32` writes them");
  }
  return std::make_shared<const Pseudonyms>(*std::move(key));
}

std::string Pseudonyms::hash(std::string_view kind, std::string_view text) const {
  std::string whole(kind);
  whole += '\0';
  whole += text;
  return hmac_of(Hash::kSha256, key_, whole);
}

std::string Pseudonyms::name(std::string_view kind, std::string_view text) const {
  if (text.empty()) return {};
  constexpr std::size_t kBytes = 16;
  return "p-" + hex_of(std::string_view(hash(kind, text)).substr(0, kBytes));
}

IpAddress Pseudonyms::address(const IpAddress& address) const {
  const auto& bytes = address.bytes();
  const std::string hashed = hash("address", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  std::array<std::uint8_t, 16> made{};
  std::memcpy(made.data(), hashed.data(), std::min(made.size(), hashed.size()));
  made[0] = 0xfd;
  return IpAddress::from_v6(made);
}

std::uint64_t Pseudonyms::number(std::string_view kind, std::uint64_t number) const {
  const std::string hashed = hash(kind, std::to_string(number));
  std::uint64_t made = 0;
  for (std::size_t i = 0; i < sizeof made && i < hashed.size(); ++i)
    made = made << 8U | static_cast<std::uint8_t>(hashed[i]);
  return made;
}

}  // namespace natsession
