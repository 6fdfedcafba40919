// Reads syslog messages back, by the grammar of RFC 5424 and RFC 6587: written apart from what writes them.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace natsession::testing {

struct SyslogSeen {
  int facility = 0;
  int severity = 0;
  std::string timestamp;
  std::string hostname;
  std::string application;
  std::string process;
  std::string message_id;
  std::string element;                        // SD-ID
  std::map<std::string, std::string> fields;  // PARAM-NAME to PARAM-VALUE
  std::string text;
};

inline SyslogSeen read_syslog(std::string_view message) {
  SyslogSeen seen;
  const auto fail = [&](const std::string& what) {
    throw std::runtime_error("not RFC 5424: " + what + ": " + std::string(message));
  };
  for (const char byte : message) {
    if (static_cast<unsigned char>(byte) < ' ' || byte == '\x7f') fail("a control character");
  }
  std::string_view rest = message;
  const auto until = [&](char end) {
    const std::size_t at = rest.find(end);
    if (at == std::string_view::npos || at == 0) fail("a part is missing");
    std::string part(rest.substr(0, at));
    rest.remove_prefix(at + 1);
    return part;
  };
  if (!rest.starts_with('<')) fail("no PRI");
  rest.remove_prefix(1);
  const int priority = std::stoi(until('>'));
  if (priority > 191) fail("PRI");
  seen.facility = priority / 8;
  seen.severity = priority % 8;
  if (until(' ') != "1") fail("VERSION");
  seen.timestamp = until(' ');
  seen.hostname = until(' ');
  seen.application = until(' ');
  seen.process = until(' ');
  seen.message_id = until(' ');
  if (seen.hostname.size() > 255 || seen.application.size() > 48 || seen.process.size() > 128 ||
      seen.message_id.size() > 32) {
    fail("a part of the header is too long");
  }
  if (!rest.starts_with('[')) fail("no structured data");
  rest.remove_prefix(1);
  seen.element = until(' ');
  while (true) {
    const std::string name = until('=');
    if (name.size() > 32 || name.find_first_of(" \"]") != std::string::npos) fail("PARAM-NAME " + name);
    if (!rest.starts_with('"')) fail("no quote behind " + name);
    rest.remove_prefix(1);
    std::string value;
    while (!rest.starts_with('"')) {
      if (rest.empty() || rest[0] == ']') fail("the value of " + name);
      if (rest[0] == '\\' && rest.size() > 1 && (rest[1] == '"' || rest[1] == '\\' || rest[1] == ']')) {
        rest.remove_prefix(1);
      }
      value += rest[0];
      rest.remove_prefix(1);
    }
    rest.remove_prefix(1);
    if (!seen.fields.emplace(name, value).second) fail("twice: " + name);
    if (rest.starts_with(']')) break;
    if (!rest.starts_with(' ')) fail("behind the value of " + name);
    rest.remove_prefix(1);
  }
  rest.remove_prefix(1);
  if (!rest.starts_with(' ')) fail("no MSG");
  seen.text = rest.substr(1);
  return seen;
}

// The whole messages of an octet-counted stream; one that is cut at the end is left out.
inline std::vector<std::string> split_octets(std::string_view stream) {
  std::vector<std::string> messages;
  while (!stream.empty()) {
    const std::size_t space = stream.find(' ');
    if (space == std::string_view::npos) break;
    const std::string digits(stream.substr(0, space));
    if (digits.empty() || digits[0] == '0' || digits.find_first_not_of("0123456789") != std::string::npos) {
      throw std::runtime_error("not octet counting: " + std::string(stream.substr(0, 80)));
    }
    const std::size_t length = std::stoul(digits);
    if (stream.size() < space + 1 + length) break;
    messages.emplace_back(stream.substr(space + 1, length));
    stream.remove_prefix(space + 1 + length);
  }
  return messages;
}

inline std::vector<std::string> split_lines(std::string_view stream) {
  std::vector<std::string> messages;
  for (std::size_t end = 0; (end = stream.find('\n')) != std::string_view::npos;) {
    messages.emplace_back(stream.substr(0, end));
    stream.remove_prefix(end + 1);
  }
  return messages;
}

inline std::uint32_t number_of(const std::string& message) {
  return static_cast<std::uint32_t>(std::stoul(read_syslog(message).fields.at("seq")));
}

inline std::vector<std::uint32_t> numbers_of(const std::vector<std::string>& messages) {
  std::vector<std::uint32_t> found;
  for (const std::string& message : messages) found.push_back(number_of(message));
  return found;
}

}  // namespace natsession::testing
