#include "identity/sources/radius_packet.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "identity/sources/md5.h"
#include "identity/sources/words.h"

namespace natsession {
namespace {

using Bytes = std::span<const std::uint8_t>;

enum RadiusCode : std::uint8_t { kAccountingRequest = 4, kAccountingResponse = 5 };
enum RadiusAttribute : std::uint8_t {
  kUserName = 1,
  kNasIpAddress = 4,
  kFramedIpAddress = 8,
  kClass = 25,
  kCallingStationId = 31,
  kNasIdentifier = 32,
  kProxyState = 33,
  kAcctStatusType = 40,
  kAcctDelayTime = 41,
  kAcctSessionId = 44,
  kAcctSessionTime = 46,
  kEventTimestamp = 55,
  kMessageAuthenticator = 80,
  kNasIpv6Address = 95,
  kFramedIpv6Prefix = 97,
  kDelegatedIpv6Prefix = 123,
  kFramedIpv6Address = 168,
};
constexpr std::size_t kHeader = 20;
constexpr std::size_t kAuthenticatorAt = 4;
constexpr std::size_t kDigest = 16;

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<std::uint32_t> number_in(Bytes value) {
  if (value.size() != 4) return std::nullopt;
  return static_cast<std::uint32_t>(value[0]) << 24U | static_cast<std::uint32_t>(value[1]) << 16U |
         static_cast<std::uint32_t>(value[2]) << 8U | value[3];
}

// Reserved, length in bits, and as many bytes as it needs, or more.
std::optional<Prefix> prefix_in(Bytes value) {
  if (value.size() < 2 || value.size() > 18 || value[1] > 128) return std::nullopt;
  std::array<std::uint8_t, 16> address{};
  std::copy(value.begin() + 2, value.end(), address.begin());
  if (value.size() - 2 < (std::size_t{value[1]} + 7) / 8) return std::nullopt;
  return Prefix::of(IpAddress::from_v6(address), value[1]);
}

// Calls visit(type, value, where the value begins) for each; false if a length does not fit, or visit said
// so.
template <typename Visit>
bool for_each_radius_attribute(Bytes packet, Visit&& visit) {
  std::size_t at = kHeader;
  while (at < packet.size()) {
    if (packet.size() - at < 2) return false;
    const std::size_t length = packet[at + 1];
    if (length < 2 || length > packet.size() - at) return false;
    if (!visit(packet[at], packet.subspan(at + 2, length - 2), at + 2)) return false;
    at += length;
  }
  return true;
}

std::size_t told_length(Bytes packet) {
  return static_cast<std::size_t>(packet[2]) << 8U | packet[3];
}

Md5::Digest digest_of(Bytes packet, std::string_view secret) {
  Md5 digest;
  digest.add(packet);
  digest.add(bytes_of(secret));
  return digest.finish();
}

Error not_accounting(std::string why) {
  return {ErrorKind::kMalformed, std::move(why)};
}

}  // namespace

bool read_accounting_attribute(std::uint8_t type, Bytes value, AccountingReport& report) {
  const auto number_into = [&](auto& to) {
    const auto number = number_in(value);
    if (number) to = *number;
    return number.has_value();
  };
  const auto prefix_into = [&](std::optional<Prefix> prefix) {
    if (prefix &&
        std::find(report.prefixes.begin(), report.prefixes.end(), *prefix) == report.prefixes.end() &&
        report.prefixes.size() < 16)
      report.prefixes.push_back(*prefix);
    return prefix.has_value();
  };
  const auto v4_in = [&]() -> std::optional<IpAddress> {
    if (value.size() != 4) return std::nullopt;
    std::uint32_t address = 0;
    std::memcpy(&address, value.data(), 4);
    return IpAddress::from_v4(address);
  };
  const auto v6_in = [&]() -> std::optional<IpAddress> {
    if (value.size() != 16) return std::nullopt;
    return IpAddress::from_v6(value.first<16>());
  };
  switch (type) {
    case kUserName:
      report.user = text_of(value);
      return true;
    case kCallingStationId:
      report.calling_station = text_of(value);
      return true;
    case kNasIdentifier:
      report.nas_identifier = text_of(value);
      return true;
    case kAcctSessionId:
      report.session_id = text_of(value);
      return true;
    case kClass:
      // Opaque, and often a text: bytes that are none would be shown as nothing but question marks.
      if (std::all_of(value.begin(), value.end(),
                      [](std::uint8_t byte) { return byte >= 0x20 && byte < 0x7f; }))
        report.cls = text_of(value);
      return true;
    case kAcctDelayTime:
      return number_into(report.delay_seconds);
    case kAcctSessionTime:
      return number_into(report.session_seconds);
    case kEventTimestamp: {
      const auto seconds = number_in(value);
      if (seconds) report.event = at_second(*seconds);
      return seconds.has_value();
    }
    case kAcctStatusType: {
      using Status = AccountingReport::Status;
      const auto status = number_in(value);
      if (!status) return false;
      report.status = *status == 1   ? Status::kStart
                      : *status == 2 ? Status::kStop
                      : *status == 3 ? Status::kInterim
                      : *status == 7 ? Status::kOn
                      : *status == 8 ? Status::kOff
                                     : Status::kOther;
      return true;
    }
    case kNasIpAddress:
      if (const auto address = v4_in()) report.nas_address = address;
      return value.size() == 4;
    case kNasIpv6Address:
      if (const auto address = v6_in(); address && !report.nas_address) report.nas_address = address;
      return value.size() == 16;
    case kFramedIpAddress: {
      const auto address = v4_in();
      if (!address) return false;
      // "let the user choose" and "choose one for the user" (RFC 2865, 5.8) are no addresses.
      if (address->v4() == 0xffff'ffff || address->to_string() == "255.255.255.254" || address->v4() == 0)
        return true;
      return prefix_into(Prefix::of(*address, 32));
    }
    case kFramedIpv6Address: {
      const auto address = v6_in();
      return prefix_into(address ? std::optional(Prefix::of(*address, 128)) : std::nullopt);
    }
    case kFramedIpv6Prefix:
    case kDelegatedIpv6Prefix:
      return prefix_into(prefix_in(value));
    default:
      return true;
  }
}

Result<void> read_accounting_request(Bytes packet, std::string_view secret, AccountingReport& report) {
  if (packet.size() < kHeader || packet.size() > kMaxRadiusPacket)
    return not_accounting("has no length of RADIUS's");
  if (packet[0] != kAccountingRequest)
    return not_accounting("is of code " + std::to_string(packet[0]) + ", not an Accounting-Request");
  const std::size_t length = told_length(packet);
  if (length < kHeader || length > packet.size()) return not_accounting("is shorter than it says");
  packet = packet.first(length);

  // What a digest was made of: without an authenticator, and for Message-Authenticator without that either.
  std::vector<std::uint8_t> zeroed(packet.begin(), packet.end());
  std::fill_n(zeroed.begin() + kAuthenticatorAt, kDigest, std::uint8_t{0});
  if (!is_same_digest(digest_of(zeroed, secret), packet.subspan<kAuthenticatorAt, kDigest>()))
    return not_accounting("was not made with the secret");

  std::optional<std::size_t> proof;
  std::size_t proofs = 0;
  std::uint8_t bad_type = 0;
  const bool whole = for_each_radius_attribute(packet, [&](std::uint8_t type, Bytes value, std::size_t at) {
    if (type == kMessageAuthenticator) {
      proof = at;
      ++proofs;
      bad_type = type;
      return value.size() == kDigest;
    }
    bad_type = type;
    return read_accounting_attribute(type, value, report);
  });
  if (!whole)
    return not_accounting("has an attribute whose length does not fit, behind or of type " +
                          std::to_string(bad_type));
  if (proofs > 1) return not_accounting("has two Message-Authenticators");
  if (proof) {
    std::fill_n(zeroed.begin() + static_cast<std::ptrdiff_t>(*proof), kDigest, std::uint8_t{0});
    if (!is_same_digest(hmac_md5(bytes_of(secret), zeroed), packet.subspan(*proof).first<kDigest>()))
      return not_accounting("has a Message-Authenticator of another secret");
  }
  return {};
}

std::vector<std::uint8_t> accounting_response(Bytes request, std::string_view secret) {
  request = request.first(std::min(request.size(), told_length(request)));
  std::vector<std::uint8_t> answer{kAccountingResponse, request[1], 0, 0};
  const Bytes asked = request.subspan(kAuthenticatorAt, kDigest);
  answer.insert(answer.end(), asked.begin(), asked.end());
  std::optional<std::size_t> proof;
  (void)for_each_radius_attribute(request, [&](std::uint8_t type, Bytes value, std::size_t) {
    if (type != kProxyState && type != kMessageAuthenticator) return true;
    answer.push_back(type);
    answer.push_back(static_cast<std::uint8_t>(value.size() + 2));
    if (type == kMessageAuthenticator) {
      proof = answer.size();
      answer.resize(answer.size() + kDigest);
    } else {
      answer.insert(answer.end(), value.begin(), value.end());
    }
    return true;
  });
  answer[2] = static_cast<std::uint8_t>(answer.size() >> 8U);
  answer[3] = static_cast<std::uint8_t>(answer.size());
  if (proof) {
    // No RFC says what it is made of in this answer: FreeRADIUS, and so its radclient, reads zeroes where the
    // authenticator is, as in the request.
    std::fill_n(answer.begin() + kAuthenticatorAt, kDigest, std::uint8_t{0});
    const Md5::Digest digest = hmac_md5(bytes_of(secret), answer);
    std::copy(digest.begin(), digest.end(), answer.begin() + static_cast<std::ptrdiff_t>(*proof));
    std::copy(asked.begin(), asked.end(), answer.begin() + kAuthenticatorAt);
  }
  const Md5::Digest digest = digest_of(answer, secret);
  std::copy(digest.begin(), digest.end(), answer.begin() + kAuthenticatorAt);
  return answer;
}

}  // namespace natsession
