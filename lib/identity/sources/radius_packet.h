// RadiusPacket: an Accounting-Request as it came, and the answer to it.
// Shape:  code, identifier, length (2 bytes, network byte order), authenticator (16), attributes: type, length of
//         all of it, value.
// Threads: pure functions.
// Source: RFC 2865, 2866, 2869, 3162, 3579, 4818, 6911
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "identity/sources/accounting.h"

namespace natsession {

inline constexpr std::size_t kMaxRadiusPacket = 4096;

// What is of another code, has lengths that do not fit, or was not made with this secret is refused.
// Shape:  `packet` is one datagram; what stands behind the length that it tells is left out.
// Errors: kMalformed, with the cause; `report` is then of no use.
Result<void> read_accounting_request(std::span<const std::uint8_t> packet, std::string_view secret,
                                     AccountingReport& report);

// The answer to a request that was read: with its Proxy-State, and a Message-Authenticator where it had one.
[[nodiscard]] std::vector<std::uint8_t> accounting_response(std::span<const std::uint8_t> request,
                                                            std::string_view secret);

// The attributes of a report, by their numbers; others are passed over.
// Errors: false if one has a length that it cannot have.
[[nodiscard]] bool read_accounting_attribute(std::uint8_t type, std::span<const std::uint8_t> value,
                                             AccountingReport& report);

}  // namespace natsession
