// In place of http_client.cc where libcurl was not there at build time.
#include "sink/http/http_client.h"

namespace natsession {

const bool HttpClient::kBuiltIn = false;

Result<std::unique_ptr<HttpClient>> HttpClient::create(const HttpSettings&, const HttpSecrets&) {
  return Error{ErrorKind::kUnavailable, "this program was built without libcurl"};
}

}  // namespace natsession
