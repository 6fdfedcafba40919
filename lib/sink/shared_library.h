// SharedLibrary: a library that is looked for when it is first needed, so that who does not need it need not
// have it. It is never closed: such libraries have threads, and have registered what is called at exit.
// Threads: any.
#pragma once

#include <string>

#include <dlfcn.h>

#include "base/result.h"

namespace natsession {

class SharedLibrary {
 public:
  explicit SharedLibrary(const char* soname)
      : soname_(soname), handle_(::dlopen(soname, RTLD_NOW | RTLD_LOCAL)) {}

  // False if there is no such library, or it has no such function.
  template <typename Function>
  [[nodiscard]] bool find(const char* name, Function& function) const {
    if (handle_ == nullptr) return false;
    function = reinterpret_cast<Function>(::dlsym(handle_, name));  // NOLINT: dlsym()'s own
    return function != nullptr;
  }
  // Why find() was false, just before: `who` needs it ("http needs libcurl"), and `remedy` says what brings
  // it.
  [[nodiscard]] Error missing(const std::string& who, const std::string& remedy) const {
    const char* const cause = ::dlerror();  // NOLINT(concurrency-mt-unsafe): of this thread
    return {ErrorKind::kUnavailable, who + ": " + (cause == nullptr ? soname_ : cause) + "; " + remedy};
  }

 private:
  const char* const soname_;
  void* const handle_;
};

}  // namespace natsession
