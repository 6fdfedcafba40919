#include "sink/http/libcurl.h"

#include "sink/shared_library.h"

namespace natsession {
namespace {

// That of OpenSSL, as everywhere but at Debian's libcurl-gnutls.so.4. RHEL 9 has 7.76: what is newer is not
// for http_client.cc.
constexpr const char* kSoname = "libcurl.so.4";

Result<LibCurl> load() {
  const SharedLibrary library(kSoname);
  LibCurl curl;
  decltype(&curl_global_init) global_init = nullptr;
  if (!library.find("curl_easy_cleanup", curl.easy_cleanup) ||
      !library.find("curl_easy_getinfo", curl.easy_getinfo) ||
      !library.find("curl_easy_init", curl.easy_init) ||
      !library.find("curl_easy_perform", curl.easy_perform) ||
      !library.find("curl_easy_setopt", curl.easy_setopt) ||
      !library.find("curl_easy_strerror", curl.easy_strerror) ||
      !library.find("curl_slist_append", curl.slist_append) ||
      !library.find("curl_slist_free_all", curl.slist_free_all) ||
      !library.find("curl_global_init", global_init))
    return library.missing("http and https need libcurl",
                           "install the package libcurl4 (Debian, openSUSE) or libcurl (Fedora, RHEL)");
  if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return Error{ErrorKind::kUnavailable, "libcurl cannot be started"};
  return curl;
}

}  // namespace

const Result<LibCurl>& LibCurl::get() {
  static const Result<LibCurl> kLoaded = load();
  return kLoaded;
}

}  // namespace natsession
