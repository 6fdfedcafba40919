// Whether this is compiled for the thread sanitizer, which makes all some ten times slower.
#pragma once

namespace natsession::testing {

#ifdef __SANITIZE_THREAD__
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace natsession::testing
