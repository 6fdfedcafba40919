#include "sink/libcurl.h"

#include <dlfcn.h>

namespace natsession {
namespace {

// That of OpenSSL, as everywhere but at Debian's libcurl-gnutls.so.4. RHEL 9 has 7.76: what is newer is not
// for http_client.cc.
constexpr const char* kSoname = "libcurl.so.4";

class Library {
 public:
  Library() : handle_(::dlopen(kSoname, RTLD_NOW | RTLD_LOCAL)) {}

  [[nodiscard]] bool is_there() const { return handle_ != nullptr; }
  // False if it has no such function.
  template <typename Function>
  [[nodiscard]] bool find(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(::dlsym(handle_, name));  // NOLINT: dlsym()'s own
    return function != nullptr;
  }

 private:
  void* const handle_;  // never closed: OpenSSL has registered what is called at exit
};

Error not_there() {
  const char* const cause = ::dlerror();  // NOLINT(concurrency-mt-unsafe): of this thread
  return {ErrorKind::kUnavailable,
          std::string("http and https need libcurl: ") + (cause == nullptr ? kSoname : cause) +
              "; install the package libcurl4 (Debian, openSUSE) or libcurl (Fedora, RHEL)"};
}

Result<LibCurl> load() {
  const Library library;
  LibCurl curl;
  decltype(&curl_global_init) global_init = nullptr;
  if (!library.is_there() || !library.find("curl_easy_cleanup", curl.easy_cleanup) ||
      !library.find("curl_easy_getinfo", curl.easy_getinfo) ||
      !library.find("curl_easy_init", curl.easy_init) ||
      !library.find("curl_easy_perform", curl.easy_perform) ||
      !library.find("curl_easy_setopt", curl.easy_setopt) ||
      !library.find("curl_easy_strerror", curl.easy_strerror) ||
      !library.find("curl_slist_append", curl.slist_append) ||
      !library.find("curl_slist_free_all", curl.slist_free_all) ||
      !library.find("curl_global_init", global_init))
    return not_there();
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
