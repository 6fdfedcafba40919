// InUtc: times are read and shown in UTC, whatever zone the tests run in.
#pragma once

#include <cstdlib>
#include <ctime>

namespace natsession::testing {

struct InUtc {
  InUtc() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

}  // namespace natsession::testing
