// How requests to Alibaba Cloud's Log Service (SLS) are signed: version 1 with HMAC-SHA1, version 4 with
// HMAC-SHA256 and a key for each day and region.
// Threads: any; pure functions.
#pragma once

#include <string>
#include <string_view>

#include "sink/cloud/signed_request.h"

namespace natsession {

// The value of the header Authorization.
// Shape:  `request` has all headers that count, Date or x-log-date among them; not yet Authorization.
[[nodiscard]] std::string sls_signature_v1(const SignedRequest& request, const CloudKeys& keys);
// Shape:  likewise, with x-log-date in its basic form, and x-log-content-sha256.
[[nodiscard]] std::string sls_signature_v4(const SignedRequest& request, const CloudKeys& keys,
                                           std::string_view region);

}  // namespace natsession
