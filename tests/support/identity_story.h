// IdentityStory: what a source told, a line for each word of its:
//
//   begin | end 1796067501 | seen 10.0.0.5 lease chen mac=… host=… id=… group=… since=… expires=… at
//   1796067501.250 ended 10.0.0.5 id=… at … | ended 10.0.0.5 between … and … | ended_group nas1 at … |
//   followed … | lost WHY | refused WHY
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "identity/identity_source.h"
#include "identity/sources/words.h"

namespace natsession::testing {

inline std::string text_of(UnixMs time) {
  const auto count = time.time_since_epoch().count();
  std::string text = std::to_string(count / 1000);
  if (count % 1000 == 0) return text;
  char fraction[8];
  std::snprintf(fraction, sizeof fraction, ".%03d", static_cast<int>(count % 1000));
  return text + fraction;
}

// Why something was refused, with a part of what it was.
inline std::string whole_reason(std::string_view why, std::string_view what) {
  if (what.empty()) return std::string(why);
  return std::string(why) + (why.ends_with("before") ? " '" : ": '") + shown(what) + "'";
}

class IdentityStory final : public IdentityOutput {
 public:
  void begin_whole() override { lines.emplace_back("begin"); }
  void end_whole(UnixMs at) override { lines.push_back("end " + text_of(at)); }
  void seen(const SeenAssignment& seen, UnixMs at) override {
    std::string line = "seen " + short_of(seen.prefix) + " " + std::string(to_string(seen.kind)) + " " +
                       std::string(seen.subscriber);
    const auto add = [&](const char* name, std::string_view text) {
      if (!text.empty()) line += std::string(" ") + name + "=" + std::string(text);
    };
    add("mac", seen.mac);
    add("host", seen.host);
    add("id", seen.id);
    add("group", seen.group);
    if (seen.since) add("since", text_of(*seen.since));
    if (seen.expires) add("expires", text_of(*seen.expires));
    lines.push_back(line + " at " + text_of(at));
  }
  void ended(const Prefix& prefix, std::string_view id, UnixMs at) override {
    lines.push_back("ended " + short_of(prefix) + (id.empty() ? "" : " id=" + std::string(id)) + " at " +
                    text_of(at));
  }
  void ended_between(const Prefix& prefix, std::string_view id, UnixMs earliest, UnixMs latest) override {
    lines.push_back("ended " + short_of(prefix) + (id.empty() ? "" : " id=" + std::string(id)) + " between " +
                    text_of(earliest) + " and " + text_of(latest));
  }
  void ended_group(std::string_view group, UnixMs at) override {
    lines.push_back("ended_group " + std::string(group) + " at " + text_of(at));
  }
  void ended_session(std::string_view group, std::string_view id, UnixMs at) override {
    lines.push_back("ended_session " + std::string(group) + " " + std::string(id) + " at " + text_of(at));
  }
  void followed(UnixMs until) override {
    if (tells_followed) lines.push_back("followed " + text_of(until));
  }
  void lost(std::string_view why) override { lines.push_back("lost " + std::string(why)); }
  void refused(std::string_view why, std::string_view what) override {
    lines.push_back("refused " + whole_reason(why, what));
  }

  // What was told since the last take.
  std::vector<std::string> take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
  bool tells_followed = false;

 private:
  // An address without its length.
  static std::string short_of(const Prefix& prefix) {
    const std::string text = prefix.to_string();
    const bool whole = prefix.length() == (prefix.lowest().is_v4() ? 32U : 128U);
    return whole ? text.substr(0, text.find('/')) : text;
  }
};

}  // namespace natsession::testing
