// LibCurl: the functions of libcurl that an HTTP sink calls. They are looked for when the first such sink is
// made: with all that it needs in turn (Kerberos, LDAP, SSH) libcurl is larger than everything else that the
// programs ask of a machine.
// Threads: any.
#pragma once

#include <curl/curl.h>

#include "base/result.h"

namespace natsession {

struct LibCurl {
  decltype(&curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&curl_easy_init) easy_init = nullptr;
  decltype(&curl_easy_perform) easy_perform = nullptr;
  decltype(&curl_easy_setopt) easy_setopt = nullptr;
  decltype(&curl_easy_strerror) easy_strerror = nullptr;
  decltype(&curl_slist_append) slist_append = nullptr;
  decltype(&curl_slist_free_all) slist_free_all = nullptr;

  // Initialised, and there until the process ends.
  // Errors: kUnavailable, with the cause and which package has it.
  [[nodiscard]] static const Result<LibCurl>& get();
};

}  // namespace natsession
