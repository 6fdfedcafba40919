// What a parser tells of a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "identity/sources/file_text.h"
#include "support/identity_story.h"

namespace natsession::testing {

using Story = std::vector<std::string>;

inline UnixMs at_unix(double seconds) {
  return UnixMs(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000 + 0.5)));
}

// Read at `now`; the file was written at `written`.
template <typename Text>
Story story_of(std::string_view text, UnixMs written, bool exact = false, UnixMs now = at_unix(1796068000)) {
  Text parser;
  IdentityStory story;
  for (bool again = true; again; again = parser.wants_another_pass()) {
    parser.begin();
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      parser.line(rest.substr(0, end), {now, written, exact}, story);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    parser.end({now, written, exact}, story);
  }
  return story.take();
}

}  // namespace natsession::testing
