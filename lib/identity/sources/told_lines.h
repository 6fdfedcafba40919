// ToldLines: what a program tells in lines of JSON. Each is an object:
//
//   {"event":"seen","prefix":"10.0.0.5","subscriber":"chen","mac":"02:…","host":"pc","id":"77","group":"nas1",
//    "kind":"session","at":1796067501.25,"since":"2026-11-30T19:38:21Z","expires":1796071101}
//   {"event":"ended","prefix":"10.0.0.5","id":"77","at":…}     without id: whatever is there
//   {"event":"ended_group","group":"nas1","at":…}
//   {"event":"begin"}  {"event":"end","at":…}                  what is seen between is all that there is
//   {"event":"followed","at":…}                                nothing up to then is missing
//   {"event":"lost","why":"…"}                                 something may be missing since then
//
// seen needs prefix and subscriber or mac; "event" may be left out of it. Times as time_of() reads them, or
// numbers; without "at": now, and nothing later than now. Members that are not known are passed over.
// Threads: one.
#pragma once

#include <string_view>

#include "identity/identity_source.h"

namespace natsession {

class ToldLines {
 public:
  // What cannot be understood is refused.
  void line(std::string_view line, UnixMs now, IdentityOutput& output);
  // The program says itself up to when nothing is missing.
  [[nodiscard]] bool tells_followed() const { return tells_followed_; }
  // Another run of it: it may not.
  void begin() { tells_followed_ = false; }

 private:
  bool tells_followed_ = false;
};

}  // namespace natsession
